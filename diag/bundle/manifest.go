package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"amtmedic/diag/journal"
)

// Format names the form of the bundle.
const Format = "amtmedic-bundle/1"

// Names of the members that every bundle has.
const (
	ReadmeName     = "README.txt"
	ManifestName   = "manifest.json"
	VerdictName    = "verdict.json"
	FactsName      = "facts.jsonl"
	TimelineName   = "timeline.jsonl"
	ActionsName    = "actions.jsonl"
	ReportName     = "report.md"
	ReportHTMLName = "report.html"
	LogName        = "collect.log"
	RedactionsName = "redactions.json"
	wireFolder     = "evidence/wire/"
)

// Manifest is the index of a bundle. It lists every member but itself.
type Manifest struct {
	Format  string    `json:"format"`
	Created time.Time `json:"created"` // moment of the last line of the case, so that the same case gives the same bytes
	Tool    Tool      `json:"tool"`
	Case    CaseInfo  `json:"case"`
	Profile string    `json:"profile"` // internal: identifiers are kept
	Window  Window    `json:"window"`
	Clocks  []Clock   `json:"clocks"`
	Files   []File    `json:"files"`
	Omitted []Omitted `json:"omitted"`
	Limits  Limits    `json:"limits"`
}

// Tool is the program that wrote the bundle; its version is that of its catalogue of causes.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go,omitempty"`
	OS      string `json:"os,omitempty"`
	Arch    string `json:"arch,omitempty"`
}

// CaseInfo says what the case is.
type CaseInfo struct {
	ID       string            `json:"id"`
	Name     string            `json:"name,omitempty"`
	Created  time.Time         `json:"created"`
	Symptoms []string          `json:"symptoms"`
	Practice *journal.Practice `json:"practice,omitempty"`
}

// Window is the time that the facts cover; zero when none has a time.
type Window struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Clock is what is known of a source's clock: its offset in seconds, ahead of true time when positive.
type Clock struct {
	Source  string  `json:"source"`
	OffsetS float64 `json:"offset_s"`
	Method  string  `json:"method"`
}

// File is one member.
type File struct {
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
	Kind      string `json:"kind"` // text, verdict, facts, timeline, actions, report, log, redactions, capture
	Side      string `json:"side,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// Omitted is something that the case has and the bundle has not.
type Omitted struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Limits are the sizes in bytes that the bundle was made with.
type Limits struct {
	Evidence int64 `json:"evidence_bytes"`
}

// Redaction says how often a rule hid something in a member; never what.
type Redaction struct {
	Rule  string `json:"rule"`
	File  string `json:"file"`
	Count int    `json:"count"`
}

// Fingerprint gives the SHA-256 of a manifest in groups of four, to be read out on the telephone.
func Fingerprint(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	h := hex.EncodeToString(sum[:])
	var groups []string
	for i := 0; i < len(h); i += 4 {
		groups = append(groups, h[i:i+4])
	}
	return strings.Join(groups, " ")
}

// kindOf gives the kind of a member by its name.
func kindOf(path string) string {
	switch path {
	case VerdictName:
		return "verdict"
	case FactsName:
		return "facts"
	case TimelineName:
		return "timeline"
	case ActionsName:
		return "actions"
	case ReportName, ReportHTMLName:
		return "report"
	case LogName:
		return "log"
	case RedactionsName:
		return "redactions"
	}
	if strings.HasPrefix(path, wireFolder) {
		return "capture"
	}
	return "text"
}

// sideOf gives the side that a capture was made at: client of evidence/wire/client-2.pcapng.
func sideOf(path string) string {
	name, ok := strings.CutPrefix(path, wireFolder)
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	name, _, _ = strings.Cut(name, "-")
	return name
}
