import pytest
from starlette.testclient import TestClient

from annotate.app.access import LOOPBACK, MAX_BODY, MAX_PICTURE, Access
from annotate.app.search import Found, Upload
from annotate.errors import AnnotateError
from annotate.suggestions.features import COLOUR_SOURCE

HERE = "http://127.0.0.1:8750"


@pytest.fixture
def client(make_app):
    return TestClient(make_app(), base_url=HERE)


def test_the_own_page_is_let_in(client):
    assert client.get("/api/session").status_code == 200
    assert client.post("/api/next", json={"user": "ann"}, headers={"origin": HERE}).status_code == 200
    page = client.get("/")
    assert "who is who" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "[",
        "127.0.0.2",
        "localhost@evil.example",
        "evil@127.0.0.1",
        "evil:pass@127.0.0.1:8750",
        "@127.0.0.1",
        "127.0.0.1/",
        "127.0.0.1?x",
        "127.0.0.1#x",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:8750:8750",
        "127.0.0.1:99999",
        "127.0.0.1:-1",
        "127.0.0.1.",
        "127.1",
        " 127.0.0.1",
        "127.0.0.1, 127.0.0.1",
        "::1",
        "[::1",
        "[::1]x",
        "[[::1]]",
        "[127.0.0.1]:x",
        "[::1%25lo]",
        "http://127.0.0.1",
        "localhost\\.evil.example",
    ],
)
def test_another_host_is_refused(client, host):
    answer = client.get("/api/session", headers={"host": host})
    assert answer.status_code == 403
    assert "expected 127.0.0.1, localhost, ::1" in answer.json()["error"]


def test_two_host_headers_are_refused(client):
    assert client.get("/api/session", headers=[("host", "127.0.0.1"), ("host", "127.0.0.1")]).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost:8750", "127.0.0.1:1", "[::1]:8750", "[::1]", "LOCALHOST", "LocalHost:8750"]
)
def test_this_machine_by_any_of_its_names(client, host):
    assert client.get("/api/session", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://[", "file://"])
@pytest.mark.parametrize("path", ["/api/next", "/api/decide", "/api/undo", "/api/refresh"])
def test_a_page_from_elsewhere_is_refused(client, origin, path):
    answer = client.post(path, json={"user": "ann", "id": "a"}, headers={"origin": origin})
    assert answer.status_code == 403
    assert "may not use this server" in answer.json()["error"]


def test_a_form_or_picture_of_another_site_is_refused(client):
    assert client.get("/api/session", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/api/next", content="user=ann").status_code == 415
    plain = {"content-type": "text/plain"}
    assert client.post("/api/next", content='{"user": "ann"}', headers=plain).status_code == 415


def test_a_body_that_is_too_large_is_refused_whatever_it_announces(client):
    answer = client.post("/api/next", json={"user": "a" * MAX_BODY})
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        f"a body of {MAX_BODY + 11} bytes; expected {MAX_BODY:,} at most",
    )

    def drip():
        for _ in range(MAX_BODY // 100_000 + 2):
            yield b" " * 100_000

    headers = {"content-type": "application/json"}
    answer = client.post("/api/next", content=drip(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        f"a body of more than {MAX_BODY:,} bytes; expected no more",
    )


class TestToken:
    @pytest.fixture
    def access(self):
        return Access((*LOOPBACK, "lab.local"))

    @pytest.fixture
    def client(self, make_app, access):
        return TestClient(make_app(access), base_url="http://lab.local:8750", follow_redirects=False)

    def test_nobody_without_the_token(self, client):
        for path in ("/", "/api/session", "/style.css", "/api/crops/f1/0/0.jpg", "/?token=wrong", "/?token="):
            assert client.get(path).status_code == 403, path
        assert client.get("/api/session", headers={"authorization": "Bearer wrong"}).status_code == 403

    def test_nor_from_this_machine(self, client, access):
        here = {"host": "127.0.0.1:8750"}
        assert client.get("/api/session", headers=here).status_code == 403
        answer = client.post("/api/next", json={"user": "ann"}, headers=here)
        assert (answer.status_code, answer.json()["error"]) == (
            403,
            "open the address with the token that `uavpipe annotate serve` printed",
        )
        assert client.get(f"/api/session?token={access.token}", headers=here).status_code == 403  # only the page

    def test_the_address_with_the_token_opens_the_page_and_leaves_the_bar(self, client, access):
        for _ in range(2):  # also where the cookie is there already
            answer = client.get(f"/?token={access.token}")
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            assert "HttpOnly" in answer.headers["set-cookie"]
            assert "SameSite=strict" in answer.headers["set-cookie"]
        assert client.get("/api/session").status_code == 200  # by the cookie

    def test_two_servers_of_a_machine_do_not_take_each_others_cookie(self, make_app, access):
        other = Access(access.hosts)
        with TestClient(make_app(access), base_url="http://lab.local:8750") as client:
            client.get(f"/?token={access.token}")
            second = TestClient(make_app(other), base_url="http://lab.local:8751", cookies=client.cookies)
            second.get(f"/?token={other.token}")
            assert sorted(second.cookies) == ["uavpipe_token_8750", "uavpipe_token_8751"]
            assert second.get("/api/session").status_code == 200

    def test_the_address_for_the_browser_opens_the_page_a_single_time(self, client, access):
        assert client.get(f"/?token={access.once}").status_code == 303
        assert client.get("/api/session").status_code == 200
        client.cookies.clear()
        assert client.get(f"/?token={access.once}").status_code == 403
        assert client.get("/api/session", headers={"authorization": f"Bearer {access.once}"}).status_code == 403

    def test_a_script_shows_it_in_a_header(self, client, access):
        assert client.get("/api/session", headers={"authorization": f"Bearer {access.token}"}).status_code == 200

    def test_each_start_has_a_token_of_its_own_and_it_is_never_printed(self, access):
        assert Access().token != access.token
        assert access.token not in repr(access)
        assert access.once not in repr(access)

    @pytest.mark.parametrize("token", ["", "short", "x" * 201, "with space and more", "naïve-naïve-naïve"])
    def test_a_token_that_is_no_secret_is_refused(self, token):
        with pytest.raises(AnnotateError, match="token: expected 16 to 200"):
            Access(token=token)


class TestPictures:
    """What is sent to be searched for is checked before anything reads it."""

    @pytest.fixture
    def asked(self):
        return []

    @pytest.fixture
    def client(self, make_app, project, asked):
        project.source = "a network"

        def find(wanted, user):
            asked.append(wanted)
            return Found()

        return TestClient(make_app(find=find), base_url=HERE)

    def send(self, client, data, kind="image/jpeg", **query):
        return client.post(
            "/api/find", params={"user": "ann", **query}, content=data, headers={"content-type": kind}
        )

    def test_a_picture_is_passed_on_as_it_is(self, client, asked):
        data = b"x" * (MAX_BODY + 1)  # more than other bodies may have
        assert self.send(client, data, box="1,2,3.5,4").status_code == 200
        assert asked == [Upload(data, (1.0, 2.0, 3.5, 4.0))]

    @pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", "image/svg+xml", ""])
    def test_another_type_is_refused(self, client, asked, kind):
        answer = self.send(client, b"x", kind)
        assert answer.status_code == 415
        assert "expected a body of type image/jpeg or image/png or image/webp" in answer.json()["error"]
        assert asked == []

    def test_too_much_is_refused_also_where_the_length_is_not_announced(self, client, asked):
        assert self.send(client, b"x" * (MAX_PICTURE + 1)).status_code == 413
        assert self.send(client, (b"x" * 1_000_000 for _ in range(21))).status_code == 413
        assert asked == []

    @pytest.mark.parametrize("box", ["1,2,3", "1,2,3,x", "-1,2,3,4", "1,2,3,4,5", "1e9,2,3,4", "nan,1,2,3"])
    def test_what_is_no_box_is_refused(self, client, asked, box):
        assert self.send(client, b"x", box=box).status_code == 422
        assert asked == []

    def test_a_picture_is_taken_nowhere_else(self, client):
        answer = client.post("/api/next", content=b"x", headers={"content-type": "image/jpeg"})
        assert answer.status_code == 415

    def test_a_crop_that_is_not_there(self, client, asked):
        assert client.get("/api/find/f1/0/7", params={"user": "ann"}).status_code == 404
        assert client.get("/api/find/..%2Ff1/0/0", params={"user": "ann"}).status_code == 404
        assert asked == []

    def test_without_embeddings_it_says_what_to_do(self, client, project, asked):
        project.source = COLOUR_SOURCE
        answer = self.send(client, b"x")
        assert answer.status_code == 409
        assert "uavpipe annotate embed" in answer.json()["error"]
