# uavpipe with all extras. On CPUs: docker build -t uavpipe .
# On NVIDIA GPUs: docker build -t uavpipe --build-arg TORCH=cu130 .
FROM python:3.12-slim-bookworm

# The build of PyTorch: cpu, or a release of CUDA as https://download.pytorch.org/whl has them.
ARG TORCH=cpu
ARG EXTRA=all

# OpenCV's wheel needs them.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY constraints.txt ./
# Before the source, whose changes need no other PyTorch.
RUN pip install --no-cache-dir -c constraints.txt --extra-index-url https://download.pytorch.org/whl/${TORCH} \
    torch torchvision
COPY pyproject.toml README.md LICENSE ./
COPY annotate annotate
COPY detector detector
COPY pipeline pipeline
COPY reid reid
COPY uavpipe uavpipe
RUN pip install --no-cache-dir -c constraints.txt ".[${EXTRA}]"

# Any user may run it, so that results belong to whom started it: caches are written where all may write.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["uavpipe"]
CMD ["--help"]
