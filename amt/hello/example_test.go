package hello_test

import (
	"fmt"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

func ExampleDecode() {
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	b, err := hello.Encode(hello.ForPSK(u, "0000037M"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%x\n", b)
	m, _ := hello.Decode(append(b, '!')) // one byte too many
	fmt.Println(m.Type, m.UUID, m.PID.Dashed())
	for _, p := range m.Problems {
		fmt.Printf("byte %d: %s\n", *p.Offset, p.Code)
	}
	// Output:
	// 010002000000000044454c4c580010398059b7c04f4b5a31303030303033374d
	// psk 4c4c4544-0058-3910-8059-b7c04f4b5a31 0000-037M
	// byte 32: trailing-bytes
}

// A listener reads until Need is content, not until the sender closes.
func ExampleNeed() {
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	b, _ := hello.Encode(hello.ForPSK(u, "0000037M"))
	for _, n := range []int{2, 24, 32} {
		need, complete := hello.Need(b[:n])
		fmt.Println(n, need, complete)
	}
	// Output:
	// 2 24 false
	// 24 32 false
	// 32 32 true
}
