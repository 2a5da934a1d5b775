"""p4runtime-shell, a client nobody here wrote, in its own virtual environment."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from p4rt_harness import PROGRAMS

from p4esp.switch.service import SwitchOptions, running_switch

SESSION = Path(__file__).with_name("shell_session.py")
REPOSITORY = Path(__file__).parents[3]
SHELL_PYTHON = Path(
    os.environ.get("P4ESP_SHELL_PYTHON", REPOSITORY / ".venv-shell" / "bin" / "python")
)


@pytest.mark.skipif(not SHELL_PYTHON.exists(), reason="p4runtime-shell venv missing")
async def test_shell_pushes_writes_reads_and_deletes() -> None:
    async with running_switch(SwitchOptions()) as switch:
        process = await asyncio.create_subprocess_exec(
            SHELL_PYTHON,
            SESSION,
            switch.grpc_address,
            PROGRAMS / "entities.p4info.txtpb",
            PROGRAMS / "entities.json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    facts = json.loads(output.decode().splitlines()[-1])
    assert facts["hosts"] == ["03"]
    assert facts["acls"] == [5]
    assert facts["groups"] == [1]
    assert facts["counter"] == [0, 0, 0]
    assert facts["deleted"] == []
    assert [code for code, _ in facts["duplicate"]] == ["ALREADY_EXISTS"]
    assert [code for code, _ in facts["missing"]] == ["NOT_FOUND"]
    assert "ingress.host" in facts["duplicate"][0][1]
