# One image for everything but the switch: engine, controller, hosts, and the ports of a gateway.
# docker-compose.yml says what runs as which user, with which capabilities.

FROM python:3.11-slim AS packages
RUN python -m venv /opt/venv
COPY requirements-runtime.lock /src/
RUN /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /src/requirements-runtime.lock
COPY LICENSE README.md pyproject.toml /src/
COPY py/p4esp /src/py/p4esp
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation /src \
    && /opt/venv/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ethtool iperf3 iproute2 iputils-ping \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 p4esp \
    && useradd --uid 10001 --gid p4esp --no-create-home --shell /usr/sbin/nologin p4esp
# Volumes take over owner and mode of what they are mounted on.
RUN install -d -m 0700 -o p4esp -g p4esp /run/p4esp /run/psk
COPY --from=packages /opt/venv /opt/venv
COPY docker /usr/local/bin
COPY p4src /opt/p4esp/p4src
COPY bmv2-configs /opt/p4esp/bmv2-configs
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /opt/p4esp
USER p4esp
CMD ["p4esp", "--help"]
