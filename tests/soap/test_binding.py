from tests.serving import Server
from tests.soap.messages import *
from tests.soap.wire import *
def test_one(server: Server) -> None:
    case = new_case()
    provide(server, case, b"\r\n--x\r\n")
    assert retrieve(server, case) == b"\r\n--x\r\n"
    a = post(server, ITI18, case.find())
    assert a.status == SUCCESS
    case = new_case()
    a = post(server, ITI42, case.register(b""))
    assert a.status == SUCCESS, a.errors
