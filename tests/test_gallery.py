"""Cases from the web: only the file that was checked is taken, and whatever goes wrong is one sentence."""

import hashlib
import socket
import threading
from dataclasses import replace

import pytest

from covid_core import gallery
from covid_core.images import ImageError
from tests.hub_server import Fault, HubServer


def test_only_the_file_that_was_checked_is_taken() -> None:
    content = b"a picture"
    with HubServer() as hub:
        hub.add("me/cases", "c1", "one.png", content)
        case = replace(
            gallery.cases()[0],
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            download_url=f"{hub.url}/me/cases/resolve/c1/one.png",
        )
        assert gallery.fetch(case) == content
        with pytest.raises(ImageError, match="no longer the one"):
            gallery.fetch(replace(case, sha256="0" * 64))
        hub.fault = Fault("status", 500)
        with pytest.raises(ImageError, match="could not be fetched"):
            gallery.fetch(case)
    with pytest.raises(ImageError, match="could not be fetched"):  # nobody listens any more
        gallery.fetch(case)


def test_an_answer_that_is_no_http_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"Please log in to this network.\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/one.png"
        with pytest.raises(ImageError, match="could not be fetched"):
            gallery.fetch(replace(gallery.cases()[0], download_url=address))
