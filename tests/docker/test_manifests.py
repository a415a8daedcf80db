"""Compose files, nginx's configuration and the Kubernetes manifest agree with the service."""

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from app.main import create_app
from app.settings import Settings
from tests.docker.scripts import DOCKER

NGINX = (DOCKER / "nginx.conf").read_text("utf-8")


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows compose's mark for what an override takes away."""


Loader.add_constructor("!reset", lambda loader, node: None)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(path.read_text("utf-8"), Loader))


COMPOSE = documents(DOCKER / "compose.yaml")[0]
BEHIND_NGINX = documents(DOCKER / "compose.behind-nginx.yaml")[0]
KUBERNETES = {each["kind"]: each for each in documents(DOCKER / "kubernetes" / "facetwin.yaml")}
POD = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def test_all_variables_are_settings() -> None:
    named = [*COMPOSE["services"]["facetwin"]["environment"]]
    named += BEHIND_NGINX["services"]["facetwin"]["environment"]
    named += [variable["name"] for variable in CONTAINER["env"]]
    named += re.findall(r"FACETWIN_[A-Z_]+[A-Z]", NGINX)
    known = {f"FACETWIN_{name.upper()}" for name in Settings.model_fields}
    assert set(named) <= known


def test_compose_locks_the_service_down() -> None:
    service = COMPOSE["services"]["facetwin"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert "init" not in service
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["secrets"] == list(COMPOSE["secrets"]) == ["facetwin_api_keys"]


def test_only_the_proxy_is_reached_and_believed() -> None:
    services = BEHIND_NGINX["services"]
    assert not services["facetwin"]["ports"]
    trusted = services["facetwin"]["environment"]["FACETWIN_TRUSTED_PROXIES"]
    assert services["nginx"]["networks"]["inside"]["ipv4_address"] == trusted
    assert BEHIND_NGINX["networks"]["inside"]["internal"] is True
    assert list(services["facetwin"]["networks"]) == ["inside"]


def seconds(directive: str) -> float:
    """The shortest time that a directive of nginx gives."""
    found = re.findall(rf"^\s*{directive} (\d+)s;", NGINX, re.MULTILINE)
    assert found, directive
    return min(map(float, found))


def test_nginx_has_the_limits_of_the_service() -> None:
    settings = Settings(host="127.0.0.1")
    (limit,) = re.findall(r"client_max_body_size (\d+)m;", NGINX)
    assert int(limit) * 1024 * 1024 == settings.max_request_bytes
    assert seconds("client_body_timeout") == seconds("client_header_timeout")
    assert seconds("client_body_timeout") == settings.read_timeout
    assert settings.request_timeout < seconds("proxy_read_timeout") <= settings.request_timeout + 10


def test_nginx_replaces_what_clients_claim() -> None:
    assert re.search(r"proxy_set_header X-Forwarded-For \$remote_addr;", NGINX)
    assert "$proxy_add_x_forwarded_for" not in NGINX
    assert re.search(r"proxy_set_header X-Forwarded-Proto \$scheme;", NGINX)
    assert re.search(r"proxy_set_header X-Request-ID \$request_id;", NGINX)
    # An inner proxy_set_header would take all outer ones away.
    assert not re.search(r"location[^}]*proxy_set_header", NGINX)


def test_kubernetes_locks_the_pod_down() -> None:
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert CONTAINER["resources"]["limits"].keys() == {"cpu", "memory"}


def test_kubernetes_cannot_take_the_port_away() -> None:
    """It would set FACETWIN_PORT=tcp://... for a Service of this name."""
    assert KUBERNETES["Service"]["metadata"]["name"] == "facetwin"
    assert POD["enableServiceLinks"] is False


def test_kubernetes_never_runs_two_servers_on_one_volume() -> None:
    assert KUBERNETES["Deployment"]["spec"]["replicas"] == 1
    assert KUBERNETES["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert POD["terminationGracePeriodSeconds"] > Settings(host="127.0.0.1").shutdown_timeout


def test_the_probes_ask_for_what_is_served() -> None:
    paths = create_app(Settings(host="127.0.0.1")).openapi()["paths"]
    for name, path in {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }.items():
        assert CONTAINER[name]["httpGet"]["path"] == path
        assert path in paths
