package docs_test

import (
	"go/ast"
	"slices"
	"testing"
)

// logMethods are the methods of a logger whose first argument is the message.
var logMethods = []string{"Debug", "Info", "Warn", "Error"}

// varyingMessage finds log lines whose message is put together: who looks for all events of a kind looks
// for its message, so what varies has to be an attribute.
func varyingMessage(s *source) (found []string) {
	if !slices.Contains([]string{"amt/provision", "amt/scsweb", "cmd/amtmedic"}, s.dir) || s.test {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(logMethods, f.Sel.Name) || !isLogger(f.X) {
			return true
		}
		switch m := call.Args[0].(type) {
		case *ast.BasicLit:
			return true
		case *ast.Ident:
			if m.Obj != nil && m.Obj.Kind == ast.Con || len(m.Name) > 3 && m.Name[:3] == "msg" || m.Name == "what" {
				return true // a constant, or one of a few kinds that the callers name
			}
		}
		found = append(found, s.where(call.Pos())+": the message of a log line varies: make what varies an attribute")
		return true
	})
	return found
}

// isLogger reports whether an expression is called as loggers are here: log, x.log, x.Log.
func isLogger(x ast.Expr) bool {
	switch v := x.(type) {
	case *ast.Ident:
		return v.Name == "log"
	case *ast.SelectorExpr:
		return v.Sel.Name == "log" || v.Sel.Name == "Log"
	}
	return false
}

func TestLogMessagesAreConstant(t *testing.T) {
	for _, s := range readSources(t) {
		for _, f := range varyingMessage(s) {
			t.Error(f)
		}
	}
	for text, bad := range map[string]bool{
		`package p; func f() { log.Warn("fixed", "a", 1) }`: false, `package p; func f() { w.o.Log.Error("x: "+e) }`: true,
		`package p; func f() { s.log.Info(text) }`: true, `package p; func f() { x.Error(text) }`: false,
	} {
		s, err := parse("amt/provision/x.go", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(varyingMessage(s)) > 0; got != bad {
			t.Errorf("%s: %v", text, got)
		}
	}
}
