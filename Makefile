# What can be done here, one recipe a purpose: `make help`. Go and GNU make are all that must be there beforehand;
# the tools below are built by `go run` from pinned versions and cached by it.

CONTROLLER_GEN := go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0
GOLANGCI_LINT  := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
KWOK           := sigs.k8s.io/kwok/cmd/kwok@v0.8.0
HELM           := go run helm.sh/helm/v4/cmd/helm@v4.3.1
HELM3          := go run helm.sh/helm/v3/cmd/helm@v3.22.0
# What it takes the cluster for while there is none: built without its release's flags, for a very old one.
HELM3_KUBERNETES := 1.36.3

# The cluster tool is a module of its own, and runs in its own folder: give it absolute paths.
CLUSTER    := go -C hack/cluster run .
KUBECONFIG ?= $(CURDIR)/.cluster/kubeconfig
# kubectl is taken from the path, or else from what the cluster tool built.
KUBECTL     = $$(command -v kubectl || echo "$$($(CLUSTER) assets)/kubectl")
# What is shipped as images, as NAME=PACKAGE: `make image` makes workorders.dev/NAME:$(VERSION) of each.
PRODUCTS   := operator=workorders.dev/operator kubectl-workorder=workorders.dev/operator/cmd/kubectl-workorder
VERSION    ?= $(shell sed -n 's/^appVersion: //p' charts/workorder-operator/Chart.yaml)
PLATFORMS  ?= linux/amd64,linux/arm64
# What tests and demo need besides, as NAME=FOLDER.
HELPERS    := step=hack/step
CHART := charts/workorder-operator
# What the chart shares with config, as COPY=ORIGINAL.
CHART_FILES := \
	role.yaml=config/rbac/role.yaml \
	leader_election_role.yaml=config/rbac/leader_election_role.yaml \
	viewer_role.yaml=config/rbac/viewer_role.yaml \
	editor_role.yaml=config/rbac/editor_role.yaml \
	metrics_auth_role.yaml=config/metrics/auth_role.yaml \
	webhook_configuration.yaml=config/webhook/configuration.yaml \
	policy.yaml=config/admission/policy.yaml \
	service_accounts.yaml=config/admission/serviceaccounts/policy.yaml \
	alerts.yaml=config/prometheus/alerts.yaml \
	dashboard.json=config/grafana/dashboard.json
# hack/cluster compiles Kubernetes; with these, vet and the tests take the packages that are compiled already.
LIKE_CLUSTER := CGO_ENABLED=0 GOFLAGS="$${GOFLAGS:-} -trimpath"
CRD_LIMIT_KIB := 250
# Which of the end-to-end tests are run; those that kill parts of the cluster only by `make test-outage`.
E2E_LABELS ?= !outage

# How much of `make reliability` is run: all cases or a sample of them, and which parts. A part that is run again replaces what
# it had shown of the same code, tests included, which is known by its digest; the document is written once all are there.
RELIABILITY ?= full
RELIABILITY_ALL := unit fuzz H1 H2 H3
RELIABILITY_PARTS ?= $(if $(filter full,$(RELIABILITY)),$(RELIABILITY_ALL),unit fuzz H1 H2)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
ifeq ($(filter oneshell,$(.FEATURES)),)
$(error this Makefile needs GNU make 4 or newer: install it, on macOS as gmake)
endif

# The first line of every recipe: says what begins, and at its end how that went and how long it took.
begin = @printf '\n== %s\n' '$@'; afterwards() { :; }; trap 'code=$$?; afterwards || code=1; [ $$code = 0 ] && how=done || how=FAILED; echo "-- $@: $$how after $$SECONDS s"; exit $$code' EXIT
# A digest of all code: what was found out about the same code is kept together.
digest = git ls-files api cmd config controllers hack Makefile main.go go.mod go.sum | xargs sha256sum | sha256sum | cut -c1-12
# Runs another recipe. Written out as $(MAKE) in a recipe, it would make `make -n` run that whole recipe.
again := $(MAKE) --no-print-directory
# What this machine cannot run is skipped, but never quietly.
skip = { echo "SKIPPED $@: $(1)"; exit 0; }

# Goes on with a real node: with one that is up, or with one of its own, which it takes down afterwards. An operator that the
# demo left there is stopped, as it would do the work of the one that is looked at.
define on_a_node
[ "$$(uname -s) $$(id -u)" = "Linux 0" ] || $(call skip,a node of its own needs Linux and root)
if ! $(CLUSTER) status >/dev/null 2>&1; then
	afterwards() { $(CLUSTER) down; }
	$(CLUSTER) up
fi
source hack/demo/common
if operator_runs; then
	echo "the demo's operator is stopped; make demo starts it again"
	stop_operator
fi
$(again) images
$(CLUSTER) load $(foreach image,$(PRODUCTS) $(HELPERS),$(CURDIR)/dist/images/$(firstword $(subst =, ,$(image))).tar)
endef

##@ Everyday

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/workorder-operator
	$(begin)
	go build -o bin/workorder-operator .

.PHONY: plugin
plugin: ## Build bin/kubectl-workorder, the kubectl plugin; with bin on the path it is `kubectl workorder`
	$(begin)
	go build -ldflags='-s -w' -o bin/kubectl-workorder ./cmd/kubectl-workorder
	cp cmd/kubectl-workorder/kubectl_complete-workorder bin/

.PHONY: image
image: ## Pack what is shipped, for all platforms and with lists of what is in it, into dist/image; no Docker, no registry
	$(begin)
	for image in $(PRODUCTS); do
		name=$${image%%=*}
		go -C hack/image run . -package="$${image#*=}" -name="workorders.dev/$$name:$(VERSION)" -platforms=$(PLATFORMS) -out="$(CURDIR)/dist/image/$$name.tar"
	done

IMAGE ?= workorders.dev/operator:$(VERSION)

.PHONY: manifests
manifests: ## Write all that is installed into dist/install.yaml, with the operator's image IMAGE
	$(begin)
	mkdir -p dist
	$(KUBECTL) kustomize config/default | sed 's|image: workorders.dev/operator:dev$$|image: $(IMAGE)|' >dist/install.yaml
	grep -q 'image: $(IMAGE)$$' dist/install.yaml

.PHONY: generate
generate: ## Write the code and manifests that follow from types and markers
	$(begin)
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt crd:maxDescLen=260 paths=./api/... output:crd:artifacts:config=config/crd/bases
	if [ -d controllers ]; then
		$(CONTROLLER_GEN) rbac:roleName=workorder-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac
	fi
	# A chart has to hold all of itself, and Helm finds links alarming.
	rm -rf $(CHART)/files
	mkdir -p $(CHART)/files/crd
	cp config/crd/bases/*.yaml $(CHART)/files/crd/
	for file in $(CHART_FILES); do cp "$${file#*=}" "$(CHART)/files/$${file%%=*}"; done
	for values in charts/testdata/*.values.yaml; do
		$(HELM) template workorder-operator $(CHART) --namespace=workorders-system --values="$$values" >"$${values%.values.yaml}.yaml"
	done

.PHONY: fmt
fmt: ## Format the code
	$(begin)
	$(GOLANGCI_LINT) fmt

.PHONY: clean
clean: ## Remove what was built
	$(begin)
	rm -rf bin dist

##@ Checks

.PHONY: verify
verify: verify-generate verify-tidy verify-manifests verify-chart vet lint ## Check everything that needs no cluster and no test

.PHONY: lint
lint: ## Run the linters on every module (formatting, purity of packages and length of functions included)
	$(begin)
	$(GOLANGCI_LINT) run ./...
	cd hack/bench
	$(GOLANGCI_LINT) run ./...
	cd ../image
	$(GOLANGCI_LINT) run ./...
	cd ../monitoring
	$(GOLANGCI_LINT) run ./...
	cd ../cluster
	$(GOLANGCI_LINT) run $$(go list -f '{{.Dir}}' ./... | grep -v '/kubernetes$$')
	# Looked at without its imports, which are all of Kubernetes and would take minutes.
	$(GOLANGCI_LINT) run --fast-only ./kubernetes

.PHONY: vet
vet: ## Run go vet on every module
	$(begin)
	go vet ./...
	go -C hack/bench vet ./...
	go -C hack/image vet ./...
	go -C hack/monitoring vet ./...
	$(LIKE_CLUSTER) go -C hack/cluster vet ./...

.PHONY: verify-generate
verify-generate: ## Check that generating code and manifests changes nothing
	$(begin)
	sums() { find api config charts -name 'zz_generated.*' -o -path 'config/crd/bases/*' -o -path config/rbac/role.yaml -o -path '$(CHART)/files/*' -type f -o -path 'charts/testdata/*.yaml' | sort | xargs -r sha256sum; }
	before=$$(sums)
	$(again) generate
	stale=$$({ diff <(echo "$$before") <(sums) || true; } | sed -n 's/^[<>] [0-9a-f]*  //p' | sort -u)
	[ -z "$$stale" ] || { printf 'These were stale and are generated anew; look at them and commit them:\n%s\n' "$$stale"; exit 1; }

.PHONY: verify-tidy
verify-tidy: ## Check that go.mod and go.sum of every module are tidy
	$(begin)
	git ls-files --cached --others --exclude-standard -- go.mod '*/go.mod' | while read -r mod; do
		go -C "$$(dirname "$$mod")" mod tidy -diff || { echo "$$mod is not tidy: run go mod tidy in its folder"; exit 1; }
	done

.PHONY: verify-manifests
verify-manifests: ## Check that the manifests build, and that each CRD is small enough for a plain kubectl apply
	$(begin)
	for dir in $$(find config -name kustomization.yaml -exec dirname {} \; | sort); do
		$(KUBECTL) kustomize "$$dir" >/dev/null || { echo "$$dir does not build: see above"; exit 1; }
	done
	for crd in config/crd/bases/*.yaml; do
		size=$$(wc -c <"$$crd")
		echo "$$crd: $$((size / 1024)) KiB"
		[ "$$size" -le $$(($(CRD_LIMIT_KIB) * 1024)) ] || { echo "$$crd is over $(CRD_LIMIT_KIB) KiB: shorten its descriptions, or carry less of the Pod API"; exit 1; }
	done

.PHONY: verify-chart
verify-chart: ## Lint the chart with Helm 4 and 3, and check that it refuses what it should, in words that help
	$(begin)
	for values in charts/testdata/*.values.yaml; do
		$(HELM) lint $(CHART) --strict --quiet --values="$$values"
		$(HELM3) lint $(CHART) --strict --quiet --values="$$values" --kube-version=$(HELM3_KUBERNETES)
		# Helm 4 has made the file, and puts some kinds in another order.
		diff <(sort "$${values%.values.yaml}.yaml" | grep '[^ ]') <($(HELM3) template workorder-operator $(CHART) --namespace=workorders-system --values="$$values" \
			--kube-version=$(HELM3_KUBERNETES) | sort | grep '[^ ]') || { echo "Helm 3 makes something else of $$values: see above"; exit 1; }
	done
	for values in charts/testdata/refused/*.values.yaml; do
		! said=$$($(HELM) template workorder-operator $(CHART) --values="$$values" 2>&1) || { echo "$$values is taken"; exit 1; }
		words=$$(sed -n '1s/^# says: //p' "$$values")
		[[ -n "$$words" && "$$said" == *"$$words"* ]] || { printf '%s is refused in other words:\n%s\n' "$$values" "$$said"; exit 1; }
	done

##@ Tests

# A package is tested against a real API server if its tests, or what they import, use envtest.
uses_envtest = go list -test -f '{{.ImportPath}} {{join .Deps " "}}' ./... | awk '$$1 ~ /[.]test$$/ && / sigs.k8s.io.controller-runtime.pkg.envtest( |$$)/ {sub(/[.]test$$/, "", $$1); print $$1}'

.PHONY: test
test: test-unit test-envtest test-e2e ## Run all tests, from the smallest to the real node

.PHONY: test-unit
test-unit: ## Run the tests that need nothing but Go
	$(begin)
	elsewhere=$$($(uses_envtest); go list ./... | grep /hack/e2e || true)
	go test $$(go list ./... | grep -vxF "$$elsewhere")
	go -C hack/bench test ./...
	go -C hack/image test ./...
	go -C hack/monitoring test ./...
	$(LIKE_CLUSTER) go -C hack/cluster test ./...

.PHONY: test-envtest
test-envtest: ## Run the tests that need an API server
	$(begin)
	if [ -z "$${KUBEBUILDER_ASSETS:-}" ]; then
		[ "$$(uname -s)" = Linux ] || $(call skip,hack/cluster builds API servers for Linux only; set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver)
		KUBEBUILDER_ASSETS=$$($(CLUSTER) assets)
	fi
	export KUBEBUILDER_ASSETS
	packages=$$($(uses_envtest) | grep -v /hack/e2e)
	go test -timeout=20m $$packages

.PHONY: test-e2e
test-e2e: ## Run the tests on a real node: on one that is up, or on one of their own
	$(begin)
	$(on_a_node)
	GOBIN="$(CURDIR)/bin" go install $(lastword $(HELM))
	KUBECONFIG=$(CURDIR)/.cluster/kubeconfig go test -v -count=1 -timeout=60m ./hack/e2e/... -ginkgo.label-filter='$(E2E_LABELS)' $$([ -t 2 ] || echo -ginkgo.no-color)

.PHONY: e2e
e2e: ## Of these, the ones about an installation: the chart on a real node, its samples, a crash, an upgrade, its removal
	$(begin)
	$(again) verify-manifests test-e2e E2E_LABELS=chart

.PHONY: reliability
reliability: ## Break everything on purpose, and write docs/reliability.md, which takes long; RELIABILITY=quick is a sample, and writes nothing
	$(begin)
	export RELIABILITY=$(RELIABILITY)
	unset RELIABILITY_CASE # One case is not the whole.
	code=$$($(digest))
	reports=$(CURDIR)/dist/reliability/$(RELIABILITY)-$$code
	mkdir -p "$$reports"
	if [ -z "$${KUBEBUILDER_ASSETS:-}" ] && [ "$$(uname -s)" = Linux ]; then
		KUBEBUILDER_ASSETS=$$($(CLUSTER) assets)
	fi
	[ -z "$${KUBEBUILDER_ASSETS:-}" ] || export KUBEBUILDER_ASSETS CI=true # What can be run must not be skipped.
	export KUBEBUILDER_CONTROLPLANE_START_TIMEOUT=2m # What stands back takes its time.
	# One part that fails stops no other.
	part() {
		[[ " $(RELIABILITY_PARTS) " == *" $$1 "* ]] || return 0
		local name=$$1 began=$$SECONDS; shift
		printf '\n-- %s: %s\n' "$$name" "$$*"
		rm -f "$$reports/$$name".*
		echo >>"$$reports/tries-$$name"
		RELIABILITY_REPORT=$$reports/$$name.part "$$@" || touch "$$reports/$$name.failed"
		mv "$$reports/$$name.part" "$$reports/$$name.jsonl" || touch "$$reports/$$name.failed"
		echo "-- $$name took $$((SECONDS - began)) s"
	}
	# H3 mostly waits: for kubelets, graces and deadlines. So what computes is run beside it, and stands back.
	part H3 $(again) test-e2e E2E_LABELS='outage || reliability' &>"$$reports/e2e.log" &
	part unit nice go test -count=1 -timeout=15m ./controllers/plan ./controllers/steppod ./controllers/progress ./controllers ./config/... ./cmd/...
	part fuzz nice go run ./hack/reliability/fuzz -time=$(if $(filter full,$(RELIABILITY)),10s,2s)
	part H1 nice go test -v -count=1 -timeout=45m ./controllers/internal/model
	wait
	cat "$$reports/e2e.log"
	part H2 go test -v -count=1 -timeout=60m ./hack/reliability -ginkgo.v
	cd "$$reports"
	whole=yes
	for name in $(RELIABILITY_ALL); do [ -e $$name.jsonl ] || whole=; done
	failed=$$(ls | sed -n 's/[.]failed$$//p' | xargs)
	cat ./*.jsonl >all
	again=$$(for name in $(RELIABILITY_ALL); do tries=$$(wc -l 2>/dev/null <"tries-$$name" || echo 1); [ "$$tries" -le 1 ] || echo "$$name ($$tries times)"; done | paste -sd, | sed 's/,/, /g')
	cd "$(CURDIR)"
	go run ./hack/reliability/table -report="$$reports/all" -commit="$$(git describe --always --dirty --abbrev=12), code $$code" -failed="$$failed" -again="$$again" \
		$$([ "$(RELIABILITY)$$whole" = fullyes ] && echo -write=docs/reliability.md || echo -partial)

.PHONY: test-outage
test-outage: ## Kill the API server, etcd, the kubelet and the operator under load; drain the node
	$(begin)
	$(again) test-e2e E2E_LABELS=outage

##@ Measurements

define measure
$(on_a_node)
KUBECONFIG="$(CURDIR)/.cluster/kubeconfig" $(KUBECTL) apply -k config/crd >/dev/null
$(again) build
GOBIN="$(CURDIR)/bin" go install $(KWOK)
go -C hack/bench build -o "$(CURDIR)/bin/bench" .
bin/bench -kubeconfig=.cluster/kubeconfig -operator=bin/workorder-operator -kwok=bin/kwok -commit="$$(git describe --always --dirty --abbrev=12)" -code="$$($(digest))"
endef

# How the measurements are made, as `go -C hack/bench run . -help` says: BENCH='-only=P1,P3' measures two rows.
BENCH ?=

.PHONY: bench
bench: ## Measure the operator on a real node, beside what bare clients take for the same, and write docs/performance.md; takes hours
	$(begin)
	$(measure) -write=docs/performance.md $(BENCH)

.PHONY: bench-quick
bench-quick: ## The same with few and small samples, which shows whether something is badly wrong
	$(begin)
	$(measure) -quick $(BENCH)

##@ A cluster to try it on

.PHONY: cluster-up
cluster-up: ## Bring up a real single-node Kubernetes on this machine
	$(begin)
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Take it down again
	$(begin)
	$(CLUSTER) down

.PHONY: cluster-status
cluster-status: ## Show how it is
	$(begin)
	$(CLUSTER) status

.PHONY: images
images: ## Pack all images, for this machine and as workorders.dev/NAME:dev, into dist/images
	$(begin)
	mkdir -p dist/images
	for image in $(PRODUCTS); do
		name=$${image%%=*}
		go -C hack/image run . -package="$${image#*=}" -name="workorders.dev/$$name:dev" -platforms="linux/$$(go env GOARCH)" -out="$(CURDIR)/dist/images/$$name.tar"
	done
	for image in $(HELPERS); do
		name=$${image%%=*}
		$(CLUSTER) image --package "$(CURDIR)/$${image#*=}" --name "workorders.dev/$$name:dev" --out "$(CURDIR)/dist/images/$$name.tar"
	done

.PHONY: install
install: ## Apply the CRDs to the cluster of KUBECONFIG (default: the one above)
	$(begin)
	KUBECONFIG="$(KUBECONFIG)" $(KUBECTL) apply -k config/crd

.PHONY: run
run: ## Run the operator here, against the cluster of KUBECONFIG (default: the one above)
	$(begin)
	KUBECONFIG="$(KUBECONFIG)" go run .

.PHONY: demo
demo: ## Show a work order happen
	$(begin)
	hack/demo/up

.PHONY: samples
samples: ## Run the samples where the demo ran, and write what kubectl shows of them to docs/samples.md
	$(begin)
	hack/demo/samples

.PHONY: demo-down
demo-down: ## Take the demo away
	$(begin)
	hack/demo/down
