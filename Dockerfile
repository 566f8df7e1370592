# The explorer in a container. CPU by default; for a GPU:
#   docker build --build-arg TORCH=cu130 -t cutswap .   and run it with --gpus all
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
# Which of PyTorch's own indexes torch comes from: cpu (200 MB) or cu130 (3 GB).
ARG TORCH=cpu
# Or any other index that has torch: a mirror, or https://pypi.org/simple for CUDA's build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/${TORCH}
WORKDIR /source
RUN python -m venv /opt/cutswap
ENV PATH=/opt/cutswap/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# torch in a layer of its own: it changes less often than we do.
COPY constraints.txt .
RUN grep -E '^(torch|torchvision)==' constraints.txt >torch.txt \
    && pip install --index-url "${TORCH_INDEX}" -r torch.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY assets assets
COPY cutswap cutswap
COPY pages pages
RUN pip install --constraint constraints.txt .

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="CutSwap Explorer" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --create-home --uid 1000 cutswap \
    && install --directory --owner=cutswap --group=cutswap /data /runs /cache
COPY --from=build /opt/cutswap /opt/cutswap
# Inside its own network it listens to whoever the engine lets in; compose.yaml publishes it to this
# machine alone. CUTSWAP_ROOTS: pages open no folder but /data.
ENV PATH=/opt/cutswap/bin:$PATH \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    CUTSWAP_DATA=/data \
    CUTSWAP_ROOTS=/data \
    CUTSWAP_RUNS=/runs \
    CUTSWAP_CACHE=/cache
USER 1000:1000
WORKDIR /runs
VOLUME ["/data", "/runs", "/cache"]
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
  ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health')"]
ENTRYPOINT ["cutswap"]
CMD ["app", "--no-browser", "--port", "8501"]
