"""Room for `diptych export`: a translator as ONNX, OpenVINO or pt2; int8; students.

Nothing is here yet. A translator stays one safetensors file until then: see `checkpoint.py`.
"""
