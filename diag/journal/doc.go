// Package journal keeps cases on disk: one folder a case, its facts and the log of what was
// changed as JSON lines that are durable when a method returns. Start with Create, or with Open to
// go on with a case; Read and List never wait for whoever is writing. The package judges nothing.
//
// A case folder holds
//
//	case.json      what the case is (Info); written once
//	facts.jsonl    one fact a line, in the form of fact files
//	actions.jsonl  one line for each step of each repair
//	collect.log    what happened while the case was recorded
//	wire/*.pcapng  packets that facts refer to
//	lock           who writes to the case at present
//	*.cut-N        the end of a file that a dying process left half written
package journal
