# The operator as an image: one static binary, no shell, nobody special. `make image` packs the same binary, at the same place,
# without a container builder.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
# The modules first: they change seldom, and then this layer is kept.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags='-s -w' -o /operator .

# Scratch has no certificates, and needs none: the API server's comes with the service account.
FROM scratch
COPY --from=build /operator /ko-app/operator
USER 65532:65532
ENTRYPOINT ["/ko-app/operator"]
