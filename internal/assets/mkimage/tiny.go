package main

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"maps"
	"slices"
)

func sorted(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }

// The instructions of sleep, assembled from the sources beside them.
var (
	//go:embed sleep_amd64.bin
	sleepAMD64 []byte
	//go:embed sleep_arm64.bin
	sleepARM64 []byte
)

// tiny makes the commands that are worth a program of their own: true and false, which are nothing but an exit code, and sleep,
// which is what most containers do. They start in a fortieth of the time of the toolbox.
func tiny(name, arch string) ([]byte, bool) {
	if name == "sleep" {
		switch arch {
		case "amd64":
			return program(elf.EM_X86_64, sleepAMD64), true
		case "arm64":
			return program(elf.EM_AARCH64, sleepARM64), true
		}
		return nil, false
	}
	code, ok := map[string]byte{"true": 0, "false": 1}[name]
	if !ok {
		return nil, false
	}
	switch arch {
	case "amd64":
		return program(elf.EM_X86_64, []byte{
			0xbf, code, 0, 0, 0, // mov edi, code
			0xb8, 231, 0, 0, 0, // mov eax, 231 (exit_group)
			0x0f, 0x05, // syscall
		}), true
	case "arm64":
		return program(elf.EM_AARCH64, []byte{
			code << 5, 0x00, 0x80, 0xd2, // mov x0, #code
			0xc8, 0x0b, 0x80, 0xd2, // mov x8, #94 (exit_group)
			0x01, 0x00, 0x00, 0xd4, // svc #0
		}), true
	}
	return nil, false
}

// program wraps instructions into the smallest whole ELF file: its head, one segment, and they.
func program(machine elf.Machine, text []byte) []byte {
	const base, head = 0x400000, 64 + 56
	size := uint64(head + len(text))
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + head, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x10000}
	var b bytes.Buffer
	for _, part := range []any{h, p, text} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err) // fixed sizes into memory
		}
	}
	return b.Bytes()
}
