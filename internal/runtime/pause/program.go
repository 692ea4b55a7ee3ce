package pause

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// The program, in the words of C:
//
//	block(SIGINT, SIGTERM, SIGCHLD);
//	for (;;) {
//		while (wait4(-1, NULL, WNOHANG, NULL) > 0) {}
//		do { sig = rt_sigtimedwait(set, NULL, NULL, 8); } while (sig < 0);
//		if (sig != SIGCHLD) exit_group(0);
//	}
//
// Signals are blocked and waited for instead of handled: a blocked signal is kept
// for process 1 of a namespace as for any other process, and a child that ends
// between the two system calls is not missed.

// signals is the set of the three signals, bit n-1 for signal n.
const signals uint64 = 1<<(2-1) | 1<<(15-1) | 1<<(17-1)

// amd64 is the code up to the signal set, which the two lea instructions address.
var amd64 = []byte{
	0xb8, 0x0e, 0x00, 0x00, 0x00, //             mov  eax, 14        rt_sigprocmask
	0x31, 0xff, //                               xor  edi, edi       SIG_BLOCK
	0x48, 0x8d, 0x35, 0x4e, 0x00, 0x00, 0x00, // lea  rsi, [signals]
	0x31, 0xd2, //                               xor  edx, edx
	0x41, 0xba, 0x08, 0x00, 0x00, 0x00, //       mov  r10d, 8
	0x0f, 0x05, //                               syscall
	// reap:
	0xb8, 0x3d, 0x00, 0x00, 0x00, //             mov  eax, 61        wait4
	0x48, 0x83, 0xcf, 0xff, //                   or   rdi, -1        any child
	0x31, 0xf6, //                               xor  esi, esi
	0xba, 0x01, 0x00, 0x00, 0x00, //             mov  edx, 1         WNOHANG
	0x45, 0x31, 0xd2, //                         xor  r10d, r10d
	0x0f, 0x05, //                               syscall
	0x48, 0x85, 0xc0, //                         test rax, rax
	0x7f, 0xe6, //                               jg   reap
	// sleep:
	0xb8, 0x80, 0x00, 0x00, 0x00, //             mov  eax, 128       rt_sigtimedwait
	0x48, 0x8d, 0x3d, 0x1e, 0x00, 0x00, 0x00, // lea  rdi, [signals]
	0x31, 0xf6, //                               xor  esi, esi
	0x31, 0xd2, //                               xor  edx, edx
	0x41, 0xba, 0x08, 0x00, 0x00, 0x00, //       mov  r10d, 8
	0x0f, 0x05, //                               syscall
	0x83, 0xf8, 0x11, //                         cmp  eax, 17        SIGCHLD
	0x74, 0xc9, //                               je   reap
	0x85, 0xc0, //                               test eax, eax
	0x78, 0xdf, //                               js   sleep
	0xb8, 0xe7, 0x00, 0x00, 0x00, //             mov  eax, 231       exit_group
	0x31, 0xff, //                               xor  edi, edi
	0x0f, 0x05, //                               syscall
}

// arm64 is the code up to the signal set, which the two adr instructions address.
var arm64 = []uint32{
	0xd2800000, // mov  x0, #0         SIG_BLOCK
	0x10000321, // adr  x1, signals
	0xd2800002, // mov  x2, #0
	0xd2800103, // mov  x3, #8
	0xd28010e8, // mov  x8, #135       rt_sigprocmask
	0xd4000001, // svc  #0
	// reap:
	0x92800000, // mov  x0, #-1        any child
	0xd2800001, // mov  x1, #0
	0xd2800022, // mov  x2, #1         WNOHANG
	0xd2800003, // mov  x3, #0
	0xd2802088, // mov  x8, #260       wait4
	0xd4000001, // svc  #0
	0xf100001f, // cmp  x0, #0
	0x54ffff2c, // b.gt reap
	// sleep:
	0x10000180, // adr  x0, signals
	0xd2800001, // mov  x1, #0
	0xd2800002, // mov  x2, #0
	0xd2800103, // mov  x3, #8
	0xd2801128, // mov  x8, #137       rt_sigtimedwait
	0xd4000001, // svc  #0
	0xf100441f, // cmp  x0, #17        SIGCHLD
	0x54fffe20, // b.eq reap
	0xb7ffff00, // tbnz x0, #63, sleep
	0xd2800000, // mov  x0, #0
	0xd2800bc8, // mov  x8, #94        exit_group
	0xd4000001, // svc  #0
}

// Program returns the static ELF program for a GOARCH: amd64 or arm64.
func Program(arch string) ([]byte, error) {
	var code []byte
	var machine elf.Machine
	switch arch {
	case "amd64":
		code, machine = bytes.Clone(amd64), elf.EM_X86_64
	case "arm64":
		machine = elf.EM_AARCH64
		for _, word := range arm64 {
			code = binary.LittleEndian.AppendUint32(code, word)
		}
	default:
		return nil, fmt.Errorf("no pause program for architecture %q (known: amd64, arm64)", arch)
	}
	return link(machine, binary.LittleEndian.AppendUint64(code, signals))
}

// link puts the code behind an ELF header with one readable and executable segment.
func link(machine elf.Machine, code []byte) ([]byte, error) {
	const (
		base        = 0x400000
		headerSize  = 64
		segmentSize = 56
		entry       = headerSize + segmentSize
		align       = 1 << 16 // the largest page of arm64
	)
	size := uint64(entry + len(code))
	header := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(machine),
		Version: uint32(elf.EV_CURRENT),
		Entry:   base + entry,
		Phoff:   headerSize, Ehsize: headerSize, Phentsize: segmentSize, Phnum: 1, Shentsize: 64,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: align,
	}
	var out bytes.Buffer
	for _, part := range []any{header, segment, code} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			return nil, fmt.Errorf("writing pause program: %w", err)
		}
	}
	return out.Bytes(), nil
}
