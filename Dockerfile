# The wheel is built in one stage, with all that this needs, and installed in another.
FROM python:3.11-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN make -C /src build

FROM python:3.11-slim
COPY --from=build /src/constraints.txt /src/dist/*.whl /tmp/
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt /tmp/*.whl \
    && rm /tmp/* \
    && useradd --system xueji
USER xueji
EXPOSE 8000
ENTRYPOINT ["xueji"]
CMD ["serve", "--host", "0.0.0.0"]
