"""The perceptual study: people choose the real image in pairs of a real and a generated image.

Zhu et al. 2017 (arXiv:1703.10593), Sec. 5.1.1, which follows Isola et al. 2017
(arXiv:1611.07004), Sec. 3.3: 10 practice trials with feedback, then 40 that count; a
participant sees one method, once; a method's score is the share of the trials in which
its image was taken for the real one. docs/how-to/study.md says where this differs.
"""
