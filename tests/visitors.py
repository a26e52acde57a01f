"""Visitors without a browser: they speak Streamlit's protocol, so that many of them do not slow the server by being drawn."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

TOKEN = "_streamlit_xsrf"


@dataclass(frozen=True)
class Visit:
    """What one visitor got.

    Attributes:
        seconds: from the upload to the answer.
        row: of the answer's JSON.
        text: all that was shown.
    """

    seconds: float
    row: dict[str, Any]
    text: str


async def elements(stream: Any) -> AsyncIterator[Any]:
    """What the page draws, until its script is finished."""
    async for data in stream:
        message = ForwardMsg.FromString(data)
        if message.HasField("script_finished"):
            return
        if message.HasField("delta") and message.delta.HasField("new_element"):
            yield message.delta.new_element


def rerun(widgets: list[WidgetState]) -> bytes:
    message = BackMsg()
    message.rerun_script.widget_states.CopyFrom(WidgetStates(widgets=widgets))
    return message.SerializeToString()


async def visit(address: str, file: Path, everybody: asyncio.Barrier) -> Visit:
    """Open the page, wait for everybody, upload a picture, and read its answer."""
    async with httpx2.AsyncClient(base_url=address, timeout=120) as web:
        await web.get("/_stcore/health")  # gives the cookie that guards uploads
        token = web.cookies[TOKEN]
        cookie = {"Cookie": f"{TOKEN}={token}"}
        where = f"{address.replace('http', 'ws')}/_stcore/stream"
        async with websockets.connect(
            where, subprotocols=["streamlit", token], additional_headers=cookie, max_size=None
        ) as stream:
            await stream.send(rerun([]))
            session, uploader = "", ""
            async for data in stream:
                message = ForwardMsg.FromString(data)
                if message.HasField("new_session"):
                    session = message.new_session.initialize.session_id
                if message.HasField("delta") and message.delta.new_element.HasField("file_uploader"):
                    uploader = message.delta.new_element.file_uploader.id
                if message.HasField("script_finished"):
                    break
            await everybody.wait()
            started = time.perf_counter()
            chosen = await upload(web, stream, session, token, file)
            await stream.send(rerun([WidgetState(id=uploader, file_uploader_state_value=chosen)]))
            seconds, link, shown = 0.0, "", []
            async for element in elements(stream):
                shown.append(str(element))
                if element.HasField("imgs"):
                    seconds = time.perf_counter() - started
                if element.HasField("download_button") and element.download_button.label == "Answer as JSON":
                    link = element.download_button.url
            answer = await web.get(link)
            return Visit(seconds, answer.json()["classification"], "\n".join(shown))


async def upload(web: Any, stream: Any, session: str, token: str, file: Path) -> FileUploaderState:
    """Ask for an address, and send the file there."""
    message = BackMsg()
    asked = message.file_urls_request
    asked.request_id, asked.session_id = "1", session
    asked.file_names.append(file.name)
    await stream.send(message.SerializeToString())
    async for data in stream:
        reply = ForwardMsg.FromString(data)
        if reply.HasField("file_urls_response"):
            break
    (urls,) = reply.file_urls_response.file_urls
    content = file.read_bytes()
    sent = await web.put(urls.upload_url, files={"file": (file.name, content)}, headers={"X-Xsrftoken": token})
    sent.raise_for_status()
    state = FileUploaderState()
    state.uploaded_file_info.add(name=file.name, size=len(content), file_id=urls.file_id, file_urls=urls)
    return state


async def at_once(address: str, files: list[Path]) -> list[Visit]:
    """A visitor a file, all uploading at the same moment."""
    everybody = asyncio.Barrier(len(files))
    return list(await asyncio.gather(*(visit(address, file, everybody) for file in files)))
