# The image that only serves: no TensorFlow, no training. Otherwise as ../Dockerfile.
#   docker build -t facetwin:serving -f docker/serving.Dockerfile .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# Dependencies, from the pinned constraints: a layer that only a change of those makes anew.
FROM ${PYTHON_IMAGE} AS dependencies
ARG EXTRAS=
WORKDIR /build
RUN --mount=type=bind,source=docker/build-requirements.txt,target=/build/build-requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install -r build-requirements.txt
RUN --mount=type=bind,source=pyproject.toml,target=/build/pyproject.toml \
    --mount=type=bind,source=constraints.txt,target=/build/constraints.txt \
    --mount=type=bind,source=docker/requirements.py,target=/build/requirements.py \
    --mount=type=bind,source=docker/slim.py,target=/build/slim.py \
    --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv --without-pip /opt/venv \
    && python3 requirements.py ${EXTRAS} >/opt/tools/requirements.txt \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --only-binary=:all: \
       --no-compile -c constraints.txt -r /opt/tools/requirements.txt \
    && python3 slim.py /opt/venv

# The application, its bundle and the bytecode of what it imports, beside the dependencies.
FROM dependencies AS application
# A file of the bundle that the image does without.
ARG LEFT_OUT=embedding.keras
ARG TRAINING_MODULES=
ENV PYTHONPATH=/opt/facetwin/application
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY app app
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-compile \
       --target /opt/facetwin/application wheels/* \
    && cp LICENSE NOTICE /opt/facetwin/
RUN --mount=type=bind,source=docker/bytecode.py,target=/build/docker/bytecode.py \
    PYTHONPYCACHEPREFIX=/opt/facetwin/bytecode /opt/venv/bin/python docker/bytecode.py ${TRAINING_MODULES}
COPY model model
# One bundle: the one that `active` names.
RUN bundle=$(cat model/active) \
    && test -f "model/${bundle}/manifest.json" \
    && mkdir /opt/facetwin/model /skeleton \
    && mkdir -m 0770 /skeleton/facetwin \
    && (umask 007 && mkdir /skeleton/facetwin/application_data /skeleton/facetwin/data /skeleton/facetwin/model) \
    && cp -r model/active "model/${bundle}" /opt/facetwin/model/ \
    && rm -f "/opt/facetwin/model/${bundle}/${LEFT_OUT}"
COPY docker/healthcheck.py /opt/facetwin/

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Facetwin" \
      org.opencontainers.image.description="Self-hosted face verification: serves" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT AND LicenseRef-CelebA-non-commercial"
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=application /opt/facetwin /opt/facetwin
# Whichever user a container is given may write to a new volume, of all or of one of the folders:
# unless it is given a group too, its group is 0.
COPY --from=application --chown=10001:0 /skeleton/ /var/lib/
ENV PATH=/opt/facetwin/application/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/facetwin/application \
    PYTHONPYCACHEPREFIX=/opt/facetwin/bytecode \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    FACETWIN_HOST=0.0.0.0 \
    FACETWIN_INFERENCE_THREADS=2 \
    FACETWIN_PORT=8000 \
    FACETWIN_APPLICATION_DATA_DIR=/var/lib/facetwin/application_data \
    FACETWIN_DATA_DIR=/var/lib/facetwin/data \
    FACETWIN_MODEL_DIR=/var/lib/facetwin/model \
    FACETWIN_SHIPPED_MODEL_DIR=/opt/facetwin/model
WORKDIR /var/lib/facetwin
VOLUME /var/lib/facetwin
EXPOSE 8000
USER 10001:0
STOPSIGNAL SIGTERM
# The first check comes after one interval, so a long one would hold back whoever waits for it.
HEALTHCHECK --interval=1s --timeout=2s --start-period=600s --retries=5 \
    CMD ["/opt/venv/bin/python", "-I", "-S", "-X", "pycache_prefix=/opt/facetwin/bytecode", "/opt/facetwin/healthcheck.py"]
ENTRYPOINT ["facetwin"]
CMD ["serve"]
