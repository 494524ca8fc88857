"""A small Game Boy game, as bytes, with its counters at Pokemon Red's addresses.

A walker stays in the middle of the screen. The arrows move the background, one pixel a frame, and
the position: 256 pixels each way, over irregular marks. A raises the first flag of the story.
Instruction bytes as in https://gbdev.io/pandocs and https://rgbds.gbdev.io/docs/gbz80.7.
"""

_SIZE = 0x8000
_ENTRY, _TITLE, _HEADER_END, _CODE = 0x100, 0x134, 0x14D, 0x150
_EVENT, _Y, _X, _MAP = 0xD747, 0xD361, 0xD362, 0xD35E
_BADGES, _PARTY = 0xD356, 0xD163
_JOYPAD, _SCREEN, _SCROLL_Y, _SCROLL_X, _LINE = 0x00, 0x40, 0x42, 0x43, 0x44
_PALETTE, _SPRITE_PALETTE = 0x47, 0x48
_LAST_EVENT = 0xD886


def walk_rom() -> bytes:
    """Return a ROM of 32 KiB without mapper and without logo."""
    rom = bytearray(_SIZE)
    rom[_ENTRY : _ENTRY + 4] = b"\x00\xc3" + _word(_CODE)  # nop; jp
    rom[_TITLE : _TITLE + 11] = b"PUFFER WALK"
    program = _program()
    rom[_CODE : _CODE + len(program)] = program
    rom[_HEADER_END] = -sum(byte + 1 for byte in rom[_TITLE:_HEADER_END]) & 0xFF
    rom[0x14E:0x150] = (sum(rom) & 0xFFFF).to_bytes(2, "big")
    return bytes(rom)


def _program() -> bytes:
    start = b"\xf3" + _wait_for_blank() + _clear() + _draw()
    main = (
        _wait_for_blank()
        + _read_buttons(0x20)
        + _walk(0, _X, _SCROLL_X, b"\x3c")  # right: inc
        + _walk(1, _X, _SCROLL_X, b"\x3d")  # left: dec
        + _walk(2, _Y, _SCROLL_Y, b"\x3d")  # up
        + _walk(3, _Y, _SCROLL_Y, b"\x3c")  # down
        + _read_buttons(0x10)
        + _if_pressed(0, b"\x3e\x01\xea" + _word(_EVENT))  # a: ld a, 1; ld (nn), a
        + b"\xf0"
        + bytes([_LINE])
        + b"\xfe\x90\x28\xfa"  # until the blank's first line is over
    )
    return start + main + b"\x18" + bytes([-(len(main) + 2) & 0xFF])  # jr main


def _word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _wait_for_blank() -> bytes:
    """Loop: ldh a, (line); cp 144; jr nz."""
    return b"\xf0" + bytes([_LINE]) + b"\xfe\x90\x20\xfa"


def _clear() -> bytes:
    """Turn the screen off; zero what is counted, byte by byte and the flags in a loop."""
    zeros = b"".join(b"\xea" + _word(address) for address in (_Y, _X, _MAP, _BADGES, _PARTY))
    end = (_LAST_EVENT + 1) & 0xFF
    # ld hl, first; loop: xor a; ld (hl+), a; ld a, l; cp low(end); jr nz; ld a, h; cp high; jr nz
    flags = b"\x21" + _word(_EVENT) + b"\xaf\x22\x7d\xfe" + bytes([end]) + b"\x20\xf9"
    flags += b"\x7c\xfe" + bytes([_LAST_EVENT >> 8]) + b"\x20\xf4"
    return b"\xaf\xe0" + bytes([_SCREEN]) + zeros + flags


def _draw() -> bytes:
    """Draw two tiles, a map of the first and the empty one, a walker; set palettes; screen on."""
    tile = b"\x21\x10\x80\x06\x08\x78\x22\x22\x05\x20\xfa"  # each row is its number, twice
    walker = b"\x06\x08\x3e\x7e\x22\x22\x05\x20\xfb"  # the tile after it: each row is 0x7e, twice
    # ld hl, 0x9800; loop: a = l; swap a; add h; xor l; add a; add h; xor l; add h; and 0x1c; then
    # 1 if it is 0, else 0 (sub 1; sbc a; and 1); ld (hl+), a; until h is 0x9c
    places = b"\x21\x00\x98\x7d\xcb\x37\x84\xad\x87\x84\xad\x84\xe6\x1c"
    places += b"\xd6\x01\x9f\xe6\x01\x22\x7c\xfe\x9c\x20\xea"
    # ld hl, 0xfe00; ld a, n; ld (hl+), a: the sprite's y and x, with margins of 16 and 8, and tile
    sprite = b"\x21\x00\xfe" + b"".join(bytes([0x3E, n, 0x22]) for n in (16 + 64, 8 + 72, 2, 0))
    palettes = b"\x3e\xe4" + b"".join(bytes([0xE0, each]) for each in (_PALETTE, _SPRITE_PALETTE))
    return tile + walker + places + sprite + palettes + b"\x3e\x93\xe0" + bytes([_SCREEN])


def _read_buttons(which: int) -> bytes:
    """Load the pressed ones into b: 0x20 selects the arrows, 0x10 the buttons."""
    pad = bytes([_JOYPAD])
    select = b"\x3e" + bytes([which]) + b"\xe0" + pad
    return select + b"\xf0" + pad + b"\xf0" + pad + b"\x2f\xe6\x0f\x47"  # cpl; and 15; ld b, a


def _walk(bit: int, counter: int, scroll: int, change: bytes) -> bytes:
    address = _word(counter)
    body = b"\xfa" + address + change + b"\xea" + address + b"\xe0" + bytes([scroll])
    return _if_pressed(bit, body)


def _if_pressed(bit: int, body: bytes) -> bytes:
    """Skip `body` unless a bit of b is set: bit n, b; jr z."""
    return b"\xcb" + bytes([0x40 + 8 * bit]) + b"\x28" + bytes([len(body)]) + body
