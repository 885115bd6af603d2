"""Room for `diptych serve`: a page to drop photos on, and an HTTP endpoint.

Nothing is here yet. The study's page, for people who judge pictures, is in `study/`.
"""
