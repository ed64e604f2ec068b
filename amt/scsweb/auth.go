package scsweb

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// What an operation asks of its caller beside a role.
const (
	roleKey            = "role" // key of Operation.Metadata
	anybody store.Role = "anybody"
	here    store.Role = "here" // a token, or a caller on this machine
)

// caller is who sent a request.
type caller struct {
	token   store.Token
	secret  amt.Secret
	subject string    // of the certificate that stands for a token; empty when a token was shown
	until   time.Time // that certificate's end
	address string
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// authenticate lets a request through whose token has the role that its operation needs. It stands
// before the body is read.
func (s *Server) authenticate(api huma.API) func(ctx huma.Context, next func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		need, _ := ctx.Operation().Metadata[roleKey].(store.Role)
		if need == anybody || need == here && local(ctx.RemoteAddr(), ctx.Host(), ctx.Header) {
			next(ctx)
			return
		}
		if need == here {
			need = store.RoleRead
		}
		who := caller{address: addressOf(ctx.RemoteAddr())}
		var given bool
		if who.secret, given = bearer(ctx.Header("Authorization")); !given {
			who.subject, who.until, given = s.shown(ctx.TLS())
		}
		k, known, err := store.Token{}, false, error(nil)
		if given {
			k, known, err = s.credential(ctx.Context(), who)
		}
		switch {
		case err != nil:
			s.o.Log.Error("web service: a token was not looked up", "err", err)
			_ = huma.WriteErr(api, ctx, http.StatusServiceUnavailable, "the database does not answer")
		case !known || !k.Good(s.o.Now()):
			s.refuse(api, ctx, k, who, given)
		case !k.Role.Allows(need):
			s.o.Log.Warn("web service: the role is not enough", "from", who.address, "token", k.Name, "role", string(k.Role), "needs", string(need), "operation", ctx.Operation().OperationID)
			_ = huma.WriteErr(api, ctx, http.StatusForbidden, "this needs the role "+string(need)+"; the token has "+string(k.Role))
		default:
			who.token = k
			s.noteUse(ctx.Context(), k)
			next(huma.WithValue(ctx, callerKey{}, who))
		}
	}
}

// refuse answers a request without a valid token. Each is logged until its source has failed too often;
// from then on it learns only that.
func (s *Server) refuse(api huma.API, ctx huma.Context, k store.Token, who caller, given bool) {
	wait, ok := s.failures.note(sourceOf(ctx.RemoteAddr()), s.o.Now())
	s.metrics.refused.Inc()
	if !ok {
		ctx.SetHeader("Retry-After", seconds(wait))
		_ = huma.WriteErr(api, ctx, http.StatusTooManyRequests, "too many requests without a valid token from this address")
		return
	}
	why := "no token"
	switch {
	case !k.Revoked.IsZero():
		why = "revoked token " + k.Name
	case k.Name != "":
		why = "expired token " + k.Name
	case who.subject != "":
		why = "the subject of the certificate has no name here: " + who.subject
	case given:
		why = "unknown token"
	}
	s.o.Log.Warn("web service: request refused", "from", who.address, "why", why, "operation", ctx.Operation().OperationID)
	ctx.SetHeader("WWW-Authenticate", `Bearer realm="amtmedic"`)
	_ = huma.WriteErr(api, ctx, http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer TOKEN")
}

// useEvery is how exactly the last use of a token is known.
const useEvery = time.Minute

func (s *Server) noteUse(ctx context.Context, k store.Token) {
	now := s.o.Now()
	if now.Sub(k.Used) < useEvery {
		return
	}
	if err := s.st.NoteTokenUse(ctx, k.ID, now); err != nil {
		s.o.Log.Warn("web service: the use of a token was not noted", "token", k.Name, "err", err)
	}
}

// still reports whether the token of a long request is good yet.
func (s *Server) still(ctx context.Context, who caller) bool {
	if who.subject != "" && s.o.Now().After(who.until) {
		return false
	}
	k, ok, err := s.credential(ctx, who)
	return err != nil || ok && k.Good(s.o.Now()) // the database may be away for a moment
}

// shown gives the subject of the client certificate of a connection, where one stands for a token. The
// handshake has verified it; a connection may live longer than its certificate.
func (s *Server) shown(c *tls.ConnectionState) (subject string, until time.Time, ok bool) {
	if s.o.ClientCAs == nil || s.o.ClientToken || c == nil || len(c.VerifiedChains) == 0 {
		return "", until, false
	}
	leaf := c.VerifiedChains[0][0]
	if s.o.Now().After(leaf.NotAfter) {
		return "", until, false
	}
	subject = Subject(leaf)
	return subject, leaf.NotAfter, subject != ""
}

// credential gives the row of what a caller has shown.
func (s *Server) credential(ctx context.Context, who caller) (store.Token, bool, error) {
	if who.subject != "" {
		return s.st.CertificateToken(ctx, who.subject)
	}
	return s.st.Token(ctx, who.secret)
}

func bearer(header string) (amt.Secret, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > 256 {
		return amt.Secret{}, false
	}
	return amt.NewSecret(token), true
}

func addressOf(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	return ap.Addr().Unmap().String()
}

// How many failures of one source are answered and logged: so many at once, then one in failureEvery.
const (
	failureBurst = 10
	failureEvery = 6 * time.Second
	failureTable = 4096 // sources; further ones share one entry
)

// failures counts refused requests by source.
type failures struct {
	mu   sync.Mutex
	next map[netip.Addr]time.Time // when all failures of a source will be forgotten
}

func newFailures() *failures { return &failures{next: map[netip.Addr]time.Time{}} }

// note counts a failure, and reports whether it is within the limit; else how long to wait.
func (f *failures) note(src netip.Addr, now time.Time) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.next[src]; !known && len(f.next) >= failureTable {
		for a, t := range f.next {
			if !t.After(now) {
				delete(f.next, a)
			}
		}
		if len(f.next) >= failureTable {
			src = netip.Addr{}
		}
	}
	t := f.next[src]
	if t.Before(now) {
		t = now
	}
	t = t.Add(failureEvery)
	if over := t.Sub(now) - failureBurst*failureEvery; over > 0 {
		return over, false
	}
	f.next[src] = t
	return 0, true
}
