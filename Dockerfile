# semad on a CPU, with the versions of requirements.lock:
#   docker build --tag semad .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" semad \
#     --config recommended:smoke --workdir run
FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/semad
ENV PATH="/opt/semad/bin:$PATH"
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY LICENSE README.md pyproject.toml setup.py ./
COPY docs/requirements.txt docs/
COPY configs configs
COPY semad semad
RUN pip install --no-cache-dir setuptools==84.2.1 \
    && pip install --no-cache-dir --no-build-isolation --no-deps . \
    && pip uninstall --yes setuptools

FROM python:3.13-slim
COPY --from=build /opt/semad /opt/semad
# Any user may run it: what libraries keep goes where everybody may write.
ENV PATH="/opt/semad/bin:$PATH" HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /work
USER 1000
ENTRYPOINT ["semad"]
CMD ["--help"]
