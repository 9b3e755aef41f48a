# The daemon in a container, for nodes where it cannot be a package: docker build -t windlass .
# Both bases are arguments, so that a fleet can pin its own, by digest.
ARG NODE_BASE=docker.io/library/node:24.21.0-bookworm-slim
ARG BASE=docker.io/library/debian:12-slim

FROM ${NODE_BASE} AS dependencies
WORKDIR /opt/windlass
COPY package.json package-lock.json .npmrc ./
# Node itself is among the dependencies, in the version the project is tested with.
RUN npm ci --omit=dev --include=optional --ignore-scripts --no-audit --no-fund

FROM ${BASE}
# ISA-L is optional: with it, gzip layers inflate half as fast again.
RUN apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends ca-certificates libisal2 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/windlass
COPY --from=dependencies /opt/windlass/node_modules node_modules
COPY package.json package-lock.json LICENSE ./
COPY proto proto
COPY src src
# Layers hold setuid programs: nobody else enters.
RUN mkdir -m 0700 /var/lib/windlass && mkdir -p /run/windlass
# Mount the node's /var/lib/windlass and /run/windlass here: images must outlive the container, and clients (crictl) need the socket.
VOLUME ["/var/lib/windlass", "/run/windlass"]
ENV NODE_ENV=production
ENTRYPOINT ["/opt/windlass/node_modules/.bin/node", "--max-semi-space-size=1", "/opt/windlass/src/main.ts"]
CMD ["serve"]
