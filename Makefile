# Every target works from a clean clone; `make help` lists them.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
SHELLVENV := .venv-shell
FUZZVENV := .venv-fuzz
PROTOVENV := .venv-protos
FUZZTARGETS := ike_codec ike_machine
SECONDS ?= 30
COUNT   ?= 50000
SEED    ?=
REPLAY  ?=
TARGET  ?= embedded
BASE    ?=
REPORTS := build/reports

.PHONY: help demo lab compose-check test interop interop-peer lint ptf p4 p4-check protos fuzz fuzz-pipeline fuzz-formats bench shell lock clean

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements.lock requirements-ptf.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("p4esp needs Python >= 3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-ptf.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(SHELLVENV)/.ready: requirements-shell.lock
	$(PYTHON) -m venv $(SHELLVENV)
	$(SHELLVENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-shell.lock
	@touch $@

$(FUZZVENV)/.ready: requirements-fuzz.lock
	$(PYTHON) -m venv $(FUZZVENV)
	$(FUZZVENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@touch $@

$(PROTOVENV)/.ready: requirements-protos.lock
	$(PYTHON) -m venv $(PROTOVENV)
	$(PROTOVENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-protos.lock
	@touch $@

$(REPORTS):
	@mkdir -p $@

demo: $(VENV)/.ready  ## Two gateways: IKEv2, ESP both ways, and what is refused
	$(BIN)/p4esp demo

lab: $(VENV)/.ready  ## docker-compose.yml without docker, in namespaces; TARGET=embedded or bmv2
	$(BIN)/python -m lab --target $(TARGET)

compose-check: $(VENV)/.ready  ## Check docker-compose.yml and all it refers to, without docker
	$(BIN)/python -m lab.compose_check

test: $(VENV)/.ready $(SHELLVENV)/.ready | $(REPORTS)  ## The whole suite on the embedded switch, without root
	$(BIN)/python ptf-tests/run.py --target embedded --jobs 2
	$(BIN)/pytest -n 2 --junitxml=$(REPORTS)/pytest.xml

interop: $(VENV)/.ready | $(REPORTS)  ## IKE and ESP with strongSwan and libreswan, in namespaces
	$(BIN)/python py/interop/run.py

interop-peer:  ## Unpack Debian's libreswan for `make interop`, without installing it
	rm -rf build/libreswan
	mkdir -p build/libreswan
	cd build/libreswan && apt-get download -qq libreswan && dpkg -x libreswan_*.deb .

lint: $(VENV)/.ready  ## ruff, strict typing, secrets never compared by ==, and p4-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict bench tools py/lab docker/p4runtime-capabilities
	cd ptf-tests && ../$(BIN)/mypy --config-file mypy.ini
	$(BIN)/python tools/secret_comparison.py py/p4esp/ike py/p4esp/engine
	$(BIN)/p4esp p4 check

ptf: $(VENV)/.ready | $(REPORTS)  ## Packet tests; TARGET=embedded or bmv2
	$(BIN)/python ptf-tests/run.py --target $(TARGET) --jobs 2

p4: $(VENV)/.ready  ## Compile p4src (p4c on PATH, else its docker image) and renew the stamp
	$(BIN)/p4esp p4 build

p4-check: $(VENV)/.ready  ## Fail when the committed artefacts are not those of the sources
	$(BIN)/p4esp p4 check

protos: $(PROTOVENV)/.ready  ## Write the stubs of py/p4esp/proto anew
	cd py && ../$(PROTOVENV)/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. p4esp/proto/*.proto

fuzz: $(FUZZVENV)/.ready  ## Fuzz the IKE codec and SA machine with atheris, SECONDS=30 each
	for target in $(FUZZTARGETS); do PYTHONPATH=py:py/tests $(FUZZVENV)/bin/python -m fuzz $$target $(SECONDS) || exit 1; done

fuzz-pipeline: $(VENV)/.ready  ## COUNT=50000 damaged packets through pipeline and engine; SEED=n or REPLAY=file repeats
	PYTHONPATH=py:py/tests $(BIN)/python -m fuzz.pipeline $(if $(REPLAY),--replay $(REPLAY),--count $(COUNT) $(if $(SEED),--seed $(SEED)))

fuzz-formats: $(VENV)/.ready  ## COUNT=50000 packets of every format, damaged or made by a peer that lies; SEED=n repeats
	PYTHONPATH=py:py/tests $(BIN)/python -m fuzz.formats --count $(COUNT) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.ready  ## Benchmarks against peers in the same run; BASE=<rev> compares commits
	$(BIN)/p4esp bench $(if $(BASE),--base $(BASE))

shell: $(SHELLVENV)/.ready  ## p4runtime-shell in its own environment
	$(SHELLVENV)/bin/python -m p4runtime_sh --grpc-addr 127.0.0.1:9559 --device-id 1 --election-id 0,1

lock: $(VENV)/.ready  ## Renew the lock files
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --allow-unsafe --no-header --extra test --extra build -o requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --allow-unsafe --no-header --extra build -c requirements.lock -o requirements-runtime.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --allow-unsafe --no-header -o requirements-shell.lock requirements-shell.in
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --allow-unsafe --no-header -o requirements-fuzz.lock requirements-fuzz.in
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links --allow-unsafe --no-header -o requirements-protos.lock requirements-protos.in

clean:  ## Remove what the targets made
	rm -rf build demo $(VENV) $(SHELLVENV) $(FUZZVENV) $(PROTOVENV)
