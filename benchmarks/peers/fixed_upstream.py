"""The server behind all proxies of `../proxy.py` and `../load.py`: one fixed completion, at once.

uvicorn --app-dir benchmarks/peers fixed_upstream:app --port 9000
"""

import json

TEXT = """the river begins as a trickle under a stone and nobody takes it for a river. it gathers rain and melting \
snow, and after a day's walk it carries boats.

- it turns three mills
- it waters the gardens of two towns

people have quarrelled over its water, and have married across its bridges. at last it meets the sea. the end"""
ANSWER = json.dumps({
    "id": "chatcmpl-fixed", "object": "chat.completion", "created": 1, "model": "fixed",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 90, "total_tokens": 99},
}).encode()  # fmt: skip


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
