// Package bundle writes a case into one file for an escalation team, and opens such files. A bundle
// is a zip with a manifest: complete enough not to ask twice, verifiable, without secrets, and the
// same bytes for the same case. Start with WriteFile and ReadFile. How facts are judged is a
// parameter: the package does not know the catalogue. It does not encrypt, and never extracts.
//
// A bundle that comes from elsewhere is hostile until shown otherwise: Open reads nothing whose
// name, size or compression it has not judged, and notes what is wrong as problems.
package bundle
