// Turns the strip of frames into one frame and a slider; the page reads without it too.
for (const viewer of document.querySelectorAll(".viewer")) {
  const frames = [...viewer.querySelectorAll(".frame")].reverse();  // oldest first
  if (frames.length < 2) continue;
  const slider = viewer.querySelector("input");
  const show = () => {
    frames.forEach((frame, i) => frame.classList.toggle("chosen", i === Number(slider.value)));
    const words = frames[slider.value].dataset.words;
    viewer.querySelector("output").textContent = words;
    slider.setAttribute("aria-valuetext", words);
  };
  slider.max = slider.value = frames.length - 1;
  slider.addEventListener("input", show);
  viewer.classList.add("scripted");
  show();
}
