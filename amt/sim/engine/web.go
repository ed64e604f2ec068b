package engine

import "strings"

// web answers a browser. Path and status of the first pages are those by which scanners know AMT
// (provisioning-protocol 4.1); words and layout of the pages are our own.
func (e *Engine) web(c *call, method, path string) Answer {
	if method != "GET" && method != "HEAD" {
		return Answer{Status: 405, Header: map[string]string{"Allow": "GET, HEAD", "Content-Type": "text/html"}}
	}
	switch path {
	case "/":
		return Answer{Status: 303, Header: map[string]string{"Location": "/logon.htm"}}
	case "/logon.htm":
		return page(200, e.html("Log On", `<p>Log on to the management firmware of this computer.</p>`+
			`<form method="GET" action="index.htm"><input type="submit" value="Log On..."></form>`))
	case "/invalid.htm":
		return page(200, e.html("Log on failed", `<p>User name or password is not right.</p>`))
	case "/styles.css":
		return Answer{Status: 200, Header: map[string]string{"Content-Type": "text/css"}, Body: []byte("body { font-family: sans-serif }\n")}
	case "/index.htm", "/hw-sys.htm", "/events.htm", "/remote.htm", "/power.htm", "/ip.htm", "/fqdn.htm", "/acl.htm":
		if !e.loggedIn(c) {
			return Answer{Status: 401}
		}
		return page(200, e.html("System Status", "<table>"+e.row("Power", e.powerWord())+e.row("IP address", e.address())+
			e.row("System ID", e.cfg.UUID.String())+e.row("Host name", e.st.host)+e.row("Domain name", e.st.domain)+"</table>"))
	}
	return page(404, "")
}

func (e *Engine) html(title, content string) string {
	return "<!DOCTYPE html>\n<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\">" +
		"<title>Intel&reg; Active Management Technology</title><link rel=\"stylesheet\" href=\"styles.css\"></head>\n" +
		"<body><p>Intel&reg; Active Management Technology</p>\n<h1>" + title + "</h1>\n" + content + "\n</body></html>\n"
}

func (e *Engine) row(name, value string) string {
	var w writer
	w.escape(value)
	return "<tr><td>" + name + "</td><td>" + w.String() + "</td></tr>"
}

func (e *Engine) powerWord() string {
	if e.st.power == 2 {
		return "On"
	}
	return "Off"
}

func (e *Engine) address() string {
	if !e.cfg.Addr.IsValid() {
		return ""
	}
	return strings.TrimSpace(e.cfg.Addr.String())
}
