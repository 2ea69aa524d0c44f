from pathlib import Path

import pytest
from dashboards import opened, write

BASE = "http://127.0.0.1:8050"
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def client(place: Path):  # type: ignore[no-untyped-def]
    dashboard = opened(place)
    yield dashboard.app.server.test_client()
    dashboard.watch.close()


def test_the_page_runs_no_script_but_its_own_and_cannot_be_framed(client) -> None:  # type: ignore[no-untyped-def]
    response = client.get("/", base_url=BASE)
    assert response.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "http" not in response.headers["Content-Security-Policy"]
    assert policy["frame-ancestors"] == "'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    page = response.get_data(as_text=True)
    assert "https://" not in page.split('id="_dash-config"')[0]


@pytest.mark.parametrize("host", ["127.0.0.1:8050", "localhost", "LOCALHOST:1", "[::1]:8050", "localhost."])
def test_it_answers_under_its_own_names(client, host: str) -> None:  # type: ignore[no-untyped-def]
    assert client.get("/", base_url="http://127.0.0.1", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example:8050", "[::1", "", "a b"]
)
def test_it_answers_to_no_other_name(client, host: str) -> None:  # type: ignore[no-untyped-def]
    assert client.get("/", base_url="http://127.0.0.1", headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/files/trials.csv?study=large", "/_dash-layout", "/shared/charts.js"])
def test_it_only_reads(client, method: str, path: str) -> None:  # type: ignore[no-untyped-def]
    assert client.open(path, method=method, base_url=BASE).status_code == 405


def test_callbacks_are_asked_by_our_own_page_alone(client) -> None:  # type: ignore[no-untyped-def]
    path = "/_dash-update-component"
    assert client.get(path, base_url=BASE).status_code == 405
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1.evil.example"):
        assert client.post(path, json={}, base_url=BASE, headers={"Origin": origin}).status_code == 403
    assert client.post(path, data=b"x" * 3_000_000, base_url=BASE).status_code in (400, 413, 415)
    deep = client.post(path, data=b"[" * 100_000, content_type="application/json", base_url=BASE)
    assert deep.status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/../app.py",
        "/assets/..%2fapp.py",
        "/assets/%2e%2e%2fapp.py",
        "/assets/..%5capp.py",
        "/assets//etc/passwd",
        "/assets/....//app.py",
        "/shared/..%2f..%2fpyproject.toml",
        "/_dash-component-suites/dash/../../results/outcome.py",
        "/files/trial.yaml/../../../etc/passwd",
        "/" + "a" * 20_000,
        "/files/trials.csv?study=" + "a" * 20_000,
        "/%00",
        "/files/trial.yaml?study=%00&number=1",
    ],
)
def test_paths_lead_nowhere_else(client, path: str) -> None:  # type: ignore[no-untyped-def]
    response = client.get(path, base_url=BASE)
    text = response.get_data(as_text=True)
    assert response.status_code in (308, 400, 404, 414, 422)
    assert "root:" not in text
    assert 'inception-nas"\nversion' not in text
    assert "import " not in text


def test_a_token_is_wanted_once_and_never_stays_in_the_address(place: Path) -> None:
    dashboard = opened(place, token=TOKEN)
    client = dashboard.app.server.test_client()
    assert client.get("/", base_url=BASE).status_code == 401
    assert client.get("/?token=wrong", base_url=BASE).status_code == 401
    assert client.get("/files/trials.csv?study=large", base_url=BASE).status_code == 401
    assert client.post("/_dash-update-component", json={}, base_url=BASE).status_code == 401
    response = client.get(f"/?study=large&token={TOKEN}&trial=3", base_url=BASE)
    assert response.status_code == 303
    assert response.headers["Location"].endswith("/?study=large&trial=3")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/", base_url=BASE).status_code == 200  # the cookie came along
    other = dashboard.app.server.test_client()
    other.set_cookie(cookie.split("=")[0], "wrong", domain="127.0.0.1")
    assert other.get("/", base_url=BASE).status_code == 401
    dashboard.watch.close()


def test_further_names_are_those_that_were_given(place: Path) -> None:
    dashboard = opened(place, hosts=("GPU-7.example.org:8050", "fe80::1"), token=TOKEN)
    client = dashboard.app.server.test_client()
    answer = client.get(f"/?token={TOKEN}", base_url="http://gpu-7.example.org:8050")
    assert answer.status_code == 303
    assert client.get(f"/?token={TOKEN}", base_url="http://[fe80::1]:8050").status_code == 303
    assert client.get(f"/?token={TOKEN}", base_url=BASE).status_code == 403
    dashboard.watch.close()
