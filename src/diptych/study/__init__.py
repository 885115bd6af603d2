"""The perceptual study: people choose the real image in pairs of a real and a generated image.

It follows Zhu et al. 2017 (arXiv:1703.10593), Sec. 5.1.1, and Isola et al. 2017
(arXiv:1611.07004), Sec. 3.3. There are 10 practice trials with feedback, then 40 that count.
Each participant sees images of one method and takes part once. A method's score is the share of
trials in which its image was taken for the real one. docs/how-to/study.md lists the differences.
"""
