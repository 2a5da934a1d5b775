"""Known answers of the format digest (sections 0.8 and a to g): inputs and packets."""

from dataclasses import replace

from format_reference import Key, Packet, psp_key, sub_key

INNER = bytes.fromhex("4500002400014000401126c30a0100010a02000212340035001000004142434445464748")
SHARED = Key(bytes(range(16)), bytes.fromhex("a0a1a2a3"))
KEY_EACH = ("sub-child", "spi-block", "eesp-optimized", "eesp-full")
ROOT = bytes(range(0x40, 0x60))
DERIVED = {
    0x0000: "e48038de8e8b98782c27ab1eb5f5d0aaa3f7d6e7",
    0x0001: "263fc6916fcc7ab78a2ee846f17817696c378700",
    0x0102: "479e5f39c8fbb4c6033adfcd71d6828c2615b6ee",
}
V0 = (
    "0000100100000001000000000000000103711cd66c853750c77d60d4d10594671bf0198184c180976de18b10"
    "5de41c56aebd89e3243392d33459caef836be8379d0966c86cec780f"
)
V1 = V0[:16] + V0[32:]
VA = (
    "00001001000100000000000142312705d79ab49ed079733ded083ad526931d15c0d0076ca72a351d4d82f4f7"
    "90aa6122346eecf7fd936ccaaef9470a07c0fde5796f46cd"
)
VB = (
    "0000100100030000000000014f46772be5d09c78d5ddfcb749099972350aa246f9d3510aafecfa2b05f5f084"
    "c609f138a5cfd65dbcc9360c50942b4c5f7a0aedcab83ca0"
)
VC1 = (
    "00001001000000010000000000000001467118f229847774876d06179b15b2a51bf319829cf780a07fc58b25"
    "1cb65f12aab98def6077d79fd0065bd357e0137c573c7ddedcaa8cca"
)
VC2 = (
    "000010010000000100000000000000010000040003711cd66c853750c77d60d4d10594671bf0198184c18097"
    "6de18b105de41c56aebd89e36a661b489a8abb7cd98824d6a9176820"
)
VD = (
    "03711cd66c853750c77d60d4d10594671bf0198184c180976de18b105de41c56aebd89e30000040000001001"
    "0000000000000001ce590ab3230e2a8475d659609dc5a80c"
)
VE = (
    "000010010000000100000000000000014500002400014000401126c30a0100010a0200021234003500100000"
    "07335fb629c23018866e441356414105ad23e65232f5469bf33b397b"
)
VF1 = (
    "04141000000010010000000100000000000000014500002400014000401126c30a0100010a02000212340035"
    "001000004142434445464748010202041553efff15a258b1bae3b4e90fa84448"
)
VF2 = (
    "04141c40000010010000000100000000000000014500002400014000401126c30a0100010a02000212340035"
    "0010000007335fb629c23018866e44132b54218c481be43d7c01a6d1b6cb596e"
)
VG1 = (
    "80000001000010010000000000000001ad78c45b8288b1b4bbc0cb7553843c61ad6a204dcc60e12082aaadd8"
    "c667ec654e25fb5b1f873d71b2ed11395507a2ba452b9ab6"
)
VG2 = (
    "8000000100001001000000000000000111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795"
    "979fe162a32ccd280300d1ff2d3a50c8441884a386328665ba84996c6dee2f1f"
)
VG3 = (
    "800400010000100102021c800000000000000001112233445566778800000400450000240001400040112"
    "6c30a0100010a02000212340035001000004b26e94be6b6de7440f332781124b5c3257f6f920d8e9a02"
)
VG4 = (
    "80000001000010010000000000000001e878d57f90bdf181fbc1edb618c77f24e22e670739957871c04f9ec9"
    "e40f443530cc184f"
)
VG5 = (
    "800000010000100111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795979fe162a32ccd28"
    "0300d1ff2d3a50c8b1a5b101e81ad8c030629c0e46f3cf11"
)
VG6 = (
    "8004000100001001010200000000000000000001e878d57f90bdf181fbc1edb618c77f24e22e6707768aa53c"
    "2346e90f58d32f4f8f879023"
)
PSP_SPI = 0x1A345678
PSP_MASTERS = (
    bytes.fromhex("34448a064292601b11a0978f56a2d34cf3fc35ede1a6bc04f8db3e5243a2b0ca"),
    bytes.fromhex("563952565d3a78ae773ec1b779f2f2d99f4a7f53a6fbb9b07d5b71f39364d739"),
)
PSP_KEYS = {
    0x1A345678: "3fe9b90602a41ce17e20971810e9a6a0",
    0x9A345678: "3946da2554eae46ad1ef77a64372edc4",
}
VH1 = (
    "040106011a34567800000000000000014500002400014000401126c30a0100010a02000212340035"
    "5791aa05bb6691c249bda4a1edf3166febe685291b00a43b7ab875a9"
)
VH2 = (
    "040200031a3456780000000000000002f4fc7e538c7047d5dc1f85e8c01752d7a93dd58fe6b3c0ae"
    "d46e3439c0c43f046852f8b536a5d6a31d24cc80b8ab807796a1c918d1d8bf4c820834bc"
)
VH3 = (
    "040208031a345678000000000000000200000000000000004500002400014000401126c30a010001"
    "0a02000212340035f4ec7e53cd320491dc59c284bfa0619858ebdb305190216b5c0539f2"
)
PSP_COOKIE = Packet(INNER, spi=PSP_SPI, seq=2, cookie=bytes(8))
X = 0x1122334455667788
"""Explicit IV of the EESP packets."""
EESP = Packet(INNER, sub=1)
VJ = (
    "0000100100000001000000000000000144f11cf2d26b7751876c6615da0696f6"
    "13c6d2f3b273ffb0795d400d6e462623"
)
PING = bytes.fromhex("02800000beef000100002002")
"""A request of encrypted ESP ping: its reply is wanted under SPI 0x2002."""
UDP_ALONE = Packet(INNER[20:], sub=1, next_header=17, implicit_iv=True)
ANSWERS = {
    "V0": ("esp", Packet(INNER), V0),
    "V1": ("esp", Packet(INNER, implicit_iv=True), V1),
    "VA": ("sub-child", Packet(INNER, sub=1, implicit_iv=True), VA),
    "VB": ("subspaces", Packet(INNER, sub=3, implicit_iv=True), VB),
    "VC1": ("trailer-in-header", Packet(INNER), VC1),
    "VC2": ("trailer-in-clear", Packet(INNER), VC2),
    "VD": ("header-in-trailer", Packet(INNER, implicit_iv=True), VD),
    "VE": ("crypt-offset", Packet(INNER, shown=28), VE),
    "VF1": ("wesp", Packet(INNER), VF1),
    "VF2": ("wesp-v2", Packet(INNER, shown=28), VF2),
    "VG1": ("eesp-optimized", replace(EESP, implicit_iv=True), VG1),
    "VG2": ("eesp-optimized", replace(EESP, iv=X), VG2),
    "VG3": ("eesp-full", replace(EESP, iv=X, shown=32), VG3),
    "VG4": ("eesp-full", UDP_ALONE, VG4),
    "VG5": ("eesp-optimized", replace(EESP, iv=X, numbered=False), VG5),
    "VG6": ("eesp-full", replace(UDP_ALONE, padded=True), VG6),
    "VH1": ("psp", Packet(INNER, spi=PSP_SPI, shown=24), VH1),
    "VH2": ("psp", PSP_COOKIE, VH2),
    "VH3": ("psp", replace(PSP_COOKIE, shown=32), VH3),
    "VJ": ("esp", Packet(PING, next_header=144), VJ),
}
"""By id: format, what the packet says, and its octets."""


def key_of(name: str, sub: int) -> Key:
    """The key that a format's packet of a sub SA has in the digest."""
    if name == "psp":
        return psp_key(PSP_MASTERS, PSP_SPI)
    return sub_key(ROOT, sub) if name in KEY_EACH else SHARED
