package engine

import (
	"strings"
)

// The SOAP services of AMT 2.x to 8.x ("EOI"). Form and names: namespaces and three services from Debian's
// amttool; "Status" first, then the values, qualified names and the values of RemoteControl from Intel's
// public sample program for AMT 2.0; parameters of most setup methods from a public firmware that answers
// the same interface (provisioning-protocol S5). No WSDL could be read: docs/simulator.md says which is a guess.

// soapService is one of the services.
type soapService struct {
	name    string // of the namespace
	space   string
	prefix  string
	methods map[string]soapMethod // by lower-case name
}

// soapMethod is a method; its answer begins with Status.
type soapMethod struct {
	name string
	do   func(e *Engine, c *call) result
}

// services lists the services by the path under which they answer.
var services = func() map[string]*soapService {
	all := map[string]*soapService{}
	for _, s := range []*soapService{eoiSecurity, eoiNetwork, eoiControl, eoiTime, eoiInfo} {
		s.space = uriPlatform + s.name + "/2004/01"
		lower := map[string]soapMethod{}
		for name, m := range s.methods {
			m.name = name
			lower[strings.ToLower(name)] = m
		}
		s.methods = lower
		all[s.name+"Service"] = s
	}
	return all
}()

// hasEOI: deprecated from 6.0, gone with 9.0 (the latter unverified).
func (e *Engine) hasEOI() bool { return within(e.cfg.Version, [2]int{2, 0}, 9) }

// soap is shorthand for a method.
func soap(do func(e *Engine, c *call) result) soapMethod { return soapMethod{do: do} }

// eoi answers a message to a service.
func (e *Engine) eoi(c *call, s *soapService, body []byte) Answer {
	root, err := parse(body)
	if err != nil || root.name != "Envelope" {
		return soapFault("SOAP-ENV:Client", "Validation constraint violation: XML syntax error")
	}
	if root.space != nsSOAP11 {
		return soapFault("SOAP-ENV:VersionMismatch", "SOAP version mismatch")
	}
	in := root.kid("Body").first()
	if in == nil {
		return soapFault("SOAP-ENV:Client", "Validation constraint violation: no method in the body")
	}
	m, ok := s.methods[strings.ToLower(in.name)]
	if !ok || (in.space != s.space && in.space != "") {
		return soapFault("SOAP-ENV:Client", "Method '"+in.name+"' not implemented: method name or namespace not recognized")
	}
	step := s.name + "." + m.name
	m.name = in.name // as the caller writes it: the case of the letters is not known for sure
	no := refusal{number: func(code int) Answer { return s.answer(m, ret(code), "") },
		denied: func() Answer { return soapFault("SOAP-ENV:Client", "Access denied") }}
	return e.faulty(step, no, func(omit string) Answer {
		c.in = in
		ans := Answer{}
		if e.eoiForbidden(c, s, m) {
			ans = s.answer(m, ret(ptNotPermitted), omit)
		} else {
			ans = s.answer(m, m.do(e, c), omit)
		}
		ans.Do = c.do
		return ans
	})
}

// eoiForbidden: users without the administrators' realm may read, and control the power with its realm.
func (e *Engine) eoiForbidden(c *call, s *soapService, m soapMethod) bool {
	switch {
	case strings.HasPrefix(m.name, "Get"), strings.HasPrefix(m.name, "Enumerate"):
		return false
	case s == eoiControl:
		return !c.has(e, realmRemoteControl)
	case s == eoiTime:
		return !c.has(e, realmNetworkTime)
	}
	return !c.has(e, realmAdministrator)
}

// answer writes the answer of a method.
func (s *soapService) answer(m soapMethod, out result, omit string) Answer {
	w := &writer{omit: omit}
	w.WriteString(xmlHead + `<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + nsSOAP11 + `" xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsi="` + nsXSI +
		`" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:` + s.prefix + `="` + s.space + `"><SOAP-ENV:Body><` + s.prefix + ":" + m.name + "Response>")
	w.fields(s.prefix, s.prefix, append([]field{num("Status", out.ret)}, out.fields...))
	w.WriteString("</" + s.prefix + ":" + m.name + "Response></SOAP-ENV:Body></SOAP-ENV:Envelope>")
	return Answer{Status: 200, Body: w.Bytes(), Header: map[string]string{"Content-Type": "text/xml; charset=UTF-8"},
		Step: s.name + "." + s.methods[strings.ToLower(m.name)].name, Return: out.ret}
}

// soapFault is a fault of SOAP 1.1; it comes with status 500.
func soapFault(code, text string) Answer {
	w := &writer{}
	w.WriteString(xmlHead + `<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + nsSOAP11 + `"><SOAP-ENV:Body><SOAP-ENV:Fault>`)
	w.element("faultcode", code)
	w.element("faultstring", text)
	w.WriteString("</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>")
	return Answer{Status: 500, Body: w.Bytes(), Header: map[string]string{"Content-Type": "text/xml; charset=UTF-8"}}
}
