package engine

import (
	"encoding/base64"
	"encoding/binary"
	"time"
)

// biosDate is the release date of the simulated BIOS.
var biosDate = time.Date(2020, 8, 10, 0, 0, 0, 0, time.UTC)

// logClasses: the event log.
var logClasses = []class{
	{name: "AMT_MessageLog", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Name"}, common: true, list: messageLogs,
		does: map[string]method{
			"PositionToFirstRecord": {do: func(e *Engine, c *call) result {
				if len(e.records()) == 0 {
					return result{ret: 2, fields: []field{str("IterationIdentifier", "0")}} // no record exists (CIM)
				}
				return result{fields: []field{str("IterationIdentifier", "1")}}
			}},
			"GetRecords": {do: getRecords},
			"ClearLog": {do: func(e *Engine, c *call) result {
				e.st.cleared = true
				return ret(0)
			}},
			"FreezeLog":       {do: func(e *Engine, c *call) result { return ret(0) }},
			"CancelIteration": {do: func(e *Engine, c *call) result { return ret(0) }},
		}},
}

func messageLogs(e *Engine) []instance {
	i := instance{}
	for _, n := range []string{"5", "6", "8", "7"} {
		i = append(i, str("Capabilities", n))
	}
	return []instance{append(i, str("CharacterSet", "10"), str("CreationClassName", "AMT_MessageLog"), num("CurrentNumberOfRecords", len(e.records())),
		str("ElementName", "Intel(r) AMT:MessageLog 1"), str("EnabledDefault", "2"), str("EnabledState", "2"), str("HealthState", "5"), str("IsFrozen", "false"),
		str("LastChange", "0"), str("LogState", "4"), str("MaxLogSize", "0"), str("MaxNumberOfRecords", "390"), str("MaxRecordSize", "21"),
		str("Name", "Intel(r) AMT:MessageLog 1"), str("OperationalStatus", "2"), str("OverwritePolicy", "2"), str("PercentageNearFull", "100"),
		str("RequestedState", "12"), str("SizeOfHeader", "0"), str("SizeOfRecordHeader", "0"), str("Status", "OK"))}
}

// records gives the log: three starts of the BIOS, in the 21 bytes of the recorded form (time in the
// little-endian seconds of the first four, the rest copied from the kind of a recorded record).
func (e *Engine) records() [][]byte {
	if e.st.cleared {
		return nil
	}
	var out [][]byte
	for n := range 3 {
		r := []byte{0, 0, 0, 0, 0xff, 0x0f, 0x6f, 0x02, 0x68, 0x01, 0xff, 0x22, 0x00, 0x40, 0x07, 0, 0, 0, 0, 0, 0}
		binary.LittleEndian.PutUint32(r, uint32(biosDate.Add(time.Duration(n)*time.Hour).Unix()))
		out = append(out, r)
	}
	return out
}

func getRecords(e *Engine, c *call) result {
	from, n := atoi(c.in.value("IterationIdentifier")), atoi(c.in.value("MaxReadRecords"))
	all := e.records()
	if from < 1 || n < 1 || from > len(all) {
		return ret(ptInvalidParam)
	}
	rest := all[from-1:]
	rest = rest[:min(len(rest), n, 390)]
	end := from - 1 + len(rest)
	out := result{fields: []field{num("IterationIdentifier", min(end+1, len(all))), yes("NoMoreRecords", end >= len(all))}}
	for _, r := range rest {
		out.fields = append(out.fields, str("RecordArray", base64.StdEncoding.EncodeToString(r)))
	}
	return out
}
