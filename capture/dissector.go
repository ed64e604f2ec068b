package capture

import (
	_ "embed" // for the dissector
	"fmt"
	"strings"

	"amtmedic/amt"
)

//go:embed dissector/amthello.lua
var dissector string

// dissectorPorts is the line of the dissector that names the ports.
const dissectorPorts = "local ports = { [9971] = true }"

// Dissector gives a script in Lua that teaches Wireshark and tshark the hello message, for hellos
// that go to these TCP ports (amt.HelloPort when none is named).
func Dissector(ports ...uint16) string {
	if len(ports) == 0 {
		ports = []uint16{amt.HelloPort}
	}
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = fmt.Sprintf("[%d] = true", p)
	}
	return strings.Replace(dissector, dissectorPorts, "local ports = { "+strings.Join(list, ", ")+" }", 1)
}
