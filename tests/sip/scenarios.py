"""Scenarios for sipp, put together from requests, answers awaited and pauses."""

SPEECH = "speech.ulaw"
"""File in sipp's directory that `play` plays: mu-law without a header."""

_TYPE = "Content-Type: application/sdp\n"


def scenario(*steps: str) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n<scenario>\n' + "".join(steps) + "</scenario>\n"


def request(method: str, number: int, *, body: str = "", more: str = "", tag: bool = True) -> str:
    retransmitted = "" if method == "ACK" else ' retrans="500"'
    to = "<sip:duplex@[remote_ip]:[remote_port]>" + ("[peer_tag_param]" if tag else "")
    return f"""<send{retransmitted}><![CDATA[
{method} sip:duplex@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]sipp[call_number]
To: {to}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
{more}{_TYPE if body else ""}Content-Length: [len]

{body}]]></send>
"""


def answer_request(method: str, *, body: str = "") -> str:
    """Wait for a request from our side and accept it."""
    return f"""<recv request="{method}"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:sipp@[local_ip]:[local_port]>
{_TYPE if body else ""}Content-Length: [len]

{body}]]></send>
"""


def description(port: str, *, direction: str = "sendrecv", host: str = "[media_ip]") -> str:
    return f"""v=0
o=sipp 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""


def awaits(status: int, check: str = "", where: str = "body") -> str:
    """Wait for a final response; `check`, a regular expression, must be found in its body, or in
    `msg`, all of it.
    """
    provisional = '<recv response="100" optional="true"/><recv response="180" optional="true"/>\n'
    if not check:
        return f'{provisional}<recv response="{status}"/>\n'
    search = f'<ereg regexp="{check}" search_in="{where}" check_it="true" assign_to="1"/>'
    read = '<log message="[$1]"/>'
    return f'{provisional}<recv response="{status}"><action>{search}{read}</action></recv>\n'


def invited(port: str = "[rtpstream_audio_port]") -> str:
    """A call as far as its ACK."""
    begin = request("INVITE", 1, body=description(port), tag=False)
    return begin + awaits(200) + request("ACK", 1)


def pause(seconds: float) -> str:
    return f'<pause milliseconds="{round(seconds * 1000)}"/>\n'


def play() -> str:
    return f'<nop><action><exec rtp_stream="{SPEECH},1,0"/></action></nop>\n'


def press(key: str) -> str:
    """Send Debian's recording of a key as RFC 4733 has it."""
    name = {"*": "star", "#": "pound"}.get(key, key)
    path = f"/usr/share/sip-tester/dtmf_2833_{name}.pcap"
    return f'<nop><action><exec play_pcap_audio="{path}"/></action></nop>\n' + pause(0.4)


def bye(number: int) -> str:
    return request("BYE", number) + '<recv response="200" crlf="true"/>\n'
