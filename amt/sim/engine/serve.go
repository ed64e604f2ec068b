package engine

import (
	"strconv"
	"strings"
)

// Answer gives the answer to one HTTP request. Call it also for a request without a log-in: when one
// is needed the status is 401, and the network side adds its challenge. The path may have a query.
func (e *Engine) Answer(s Session, method, path string, header map[string]string, body []byte) Answer {
	if s.Now.IsZero() {
		s.Now = e.cfg.Now()
	}
	path, _, _ = strings.Cut(path, "?")
	c := &call{engine: e, s: s}
	e.mu.Lock()
	ans := e.answer(c, method, path, body)
	e.mu.Unlock()
	if e.cfg.OnChange != nil {
		for _, ch := range c.changes {
			e.cfg.OnChange(ch)
		}
	}
	return ans
}

func (e *Engine) answer(c *call, method, path string, body []byte) Answer {
	service, isService := services[strings.TrimPrefix(path, "/")]
	switch {
	case path == "/wsman" || path == "/wsman-anon/identify":
		if !e.cfg.Version.AtLeast(3, 0) { // SOAP services only (provisioning-protocol 3.2)
			return page(404, "")
		}
	case isService && e.hasEOI():
	default:
		return e.web(c, method, path)
	}
	if method != "POST" {
		return Answer{Status: 405, Header: map[string]string{"Allow": "POST", "Content-Type": "text/html"}}
	}
	if len(body) > maxBody {
		return page(413, "")
	}
	if isService {
		if !e.loggedIn(c) {
			return Answer{Status: 401}
		}
		return e.eoi(c, service, body)
	}
	r, f := read(body)
	if !r.identify && !e.loggedIn(c) {
		return Answer{Status: 401}
	}
	if f == nil && path != "/wsman" && !r.identify {
		f = &faultAction
	}
	if f != nil {
		return Answer{Status: f.status, Body: f.encode(r.id, e.message()), Step: r.step(),
			Header: map[string]string{"Content-Type": "application/soap+xml; charset=UTF-8"}}
	}
	return e.faulty(r.step(), refusal{number: func(code int) Answer { return e.refused(&r, code) }, denied: func() Answer {
		return Answer{Status: faultDenied.status, Body: faultDenied.encode(r.id, e.message()), Header: map[string]string{"Content-Type": "application/soap+xml; charset=UTF-8"}}
	}}, func(omit string) Answer { return e.wsman(c, &r, omit) })
}

// loggedIn says whether the request may be answered, and as whom.
func (e *Engine) loggedIn(c *call) bool {
	if c.s.User != "" {
		c.user = e.userNamed(c.s.User)
		return c.user != nil && c.user.enabled
	}
	// A session that an accepted provisioning certificate opened: until CommitChanges.
	return c.s.Secure && c.s.Certificate && e.st.stage == In
}

// refused answers a step that a fault refuses, without doing it.
func (e *Engine) refused(r *request, code int) Answer {
	ans := Answer{Status: 200, Step: r.step(), Return: code, Header: map[string]string{"Content-Type": "application/soap+xml; charset=UTF-8"}}
	name, isMethod := strings.CutPrefix(r.action, r.uri+"/")
	if !isMethod {
		f := internal(code)
		ans.Status, ans.Body = f.status, f.encode(r.id, e.message())
		return ans
	}
	w := &writer{}
	w.output(func(spaces ...string) { w.open(r.action+"Response", r.id, e.message(), r.uri, spaces...) }, r.uri, name, nil, code)
	w.close()
	ans.Body = w.Bytes()
	return ans
}

// refusal makes the answers that say no, in the form of the service.
type refusal struct {
	number func(code int) Answer
	denied func() Answer
}

// faulty answers a step with the fault that was injected there, if any.
func (e *Engine) faulty(step string, no refusal, do func(omit string) Answer) Answer {
	f, ok := e.faultAt(step)
	if !ok {
		return do("")
	}
	switch f.Kind {
	case FaultDropBefore:
		return Answer{Do: DropBefore, Step: step}
	case FaultHTTP:
		ans := page(f.Code, "")
		ans.Step = step
		return ans
	case FaultGarbage:
		return Answer{Status: 200, Step: step, Header: map[string]string{"Content-Type": "application/soap+xml; charset=UTF-8"},
			Body: []byte("<?xml version=\"1.0\"?><a:Envelope><\x00\xff")}
	case FaultSOAP:
		ans := no.denied()
		ans.Step = step
		return ans
	case FaultRefuse:
		return no.number(f.Code)
	case FaultMissing:
		return do(f.Field)
	}
	ans := do("")
	switch f.Kind {
	case FaultCut:
		ans.Body = ans.Body[:len(ans.Body)/2]
	case FaultSlow:
		ans.Delay = f.Delay
	case FaultDropDone:
		ans = Answer{Do: DropBefore, Step: step}
	case FaultDropAfter:
		ans.Do = DropAfter
	}
	return ans
}

// page is a short answer of the web server itself.
func page(status int, text string) Answer {
	if text == "" {
		text = "<html><head><title>" + strconv.Itoa(status) + "</title></head><body><h1>" + strconv.Itoa(status) + "</h1></body></html>"
	}
	return Answer{Status: status, Body: []byte(text), Header: map[string]string{"Content-Type": "text/html"}}
}
