# The daemon as an image, for the pre-puller (deploy/kubernetes, deploy/helm): docker build -t windlass . , or buildah bud.
# It holds what a release holds, and runs with a read-only root and without a shell. Both bases are arguments, so that a fleet can pin its
# own, by digest (NAME@sha256:…). BASE needs glibc 2.28 with libstdc++, and certificates; nothing is run in it.
ARG BUILD_BASE=docker.io/library/node:24.21.0-bookworm-slim
ARG BASE=gcr.io/distroless/cc-debian12

FROM ${BUILD_BASE} AS build
WORKDIR /build
# ISA-L is optional: with it, gzip layers inflate half as fast again. Where the base has no apt, it is left out, or is there already.
RUN if command -v apt-get; then \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends libisal2; \
  fi \
  && mkdir -p /made/usr/lib /made/usr/share/doc/libisal2 \
  && for file in /usr/lib/*/libisal.so.2; do if [ -e "$file" ]; then cp -L "$file" /made/usr/lib/; fi; done \
  && if [ -e /usr/share/doc/libisal2/copyright ]; then cp -L /usr/share/doc/libisal2/copyright /made/usr/share/doc/libisal2/; fi
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json LICENSE ./
COPY scripts scripts
COPY bin bin
COPY proto proto
COPY src src
# What the image is dated, in seconds since 1970.
ARG SOURCE_DATE_EPOCH=1
# Another registry than npm's own, and its login: --secret id=npmrc,src=FILE.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc ./scripts/run scripts/release/release.ts --tree /made/opt/windlass
# Layers hold setuid programs: nobody else enters.
RUN mkdir -p /made/run/windlass /made/var/cache/windlass && mkdir -p -m 0700 /made/var/lib/windlass

FROM ${BASE}
LABEL org.opencontainers.image.title=windlass org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /made /
# Mount the node's directories here: images must outlive the container, and clients (crictl) need the socket. The cache makes starts faster.
VOLUME ["/var/lib/windlass", "/run/windlass", "/var/cache/windlass"]
ENV NODE_ENV=production NODE_COMPILE_CACHE=/var/cache/windlass
ENTRYPOINT ["/opt/windlass/bin/node", "--max-semi-space-size=1", "/opt/windlass/lib/main.js"]
CMD ["serve"]
