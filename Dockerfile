# The operator as an image: one static binary, no shell, nobody special. CI and the demo pack the same binary without
# a container builder: make images.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
# The modules first: they change seldom, and then this layer is kept.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /workorder-operator .

# Scratch has no certificates, and needs none: the API server's comes with the service account.
FROM scratch
COPY --from=build /workorder-operator /workorder-operator
USER 65532:65532
ENTRYPOINT ["/workorder-operator"]
