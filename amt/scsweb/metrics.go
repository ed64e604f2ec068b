package scsweb

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

// metrics counts for Prometheus. No label has a UUID, an address or a name in it.
type metrics struct {
	handler http.Handler
	hellos  *prometheus.CounterVec
	commit  prometheus.Histogram
	group   prometheus.Histogram
	job     *prometheus.HistogramVec
	leases  prometheus.Counter
	refused prometheus.Counter
}

func newMetrics(st *store.Store) *metrics {
	m := &metrics{
		hellos: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "amtmedic_hellos_total", Help: "Connections to the hello port, by what came of them."}, []string{"result"}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "amtmedic_hello_commit_seconds", Help: "From the complete hello until it is durable.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 6}}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "amtmedic_group_commit_size", Help: "Requests that shared a commit.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}}),
		job: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "amtmedic_job_seconds", Help: "Configurations of clients, by method and result.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}}, []string{"kind", "result"}),
		leases:  prometheus.NewCounter(prometheus.CounterOpts{Name: "amtmedic_leases_lost_total", Help: "Configurations whose client another server had by the time they ended."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "amtmedic_web_refused_total", Help: "Requests to the web service without a valid token."}),
	}
	for _, k := range []provision.Kind{provision.EventHello, provision.EventPartial, provision.EventForeign, provision.EventRefused, provision.EventError} {
		m.hellos.WithLabelValues(string(k))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m.hellos, m.commit, m.group, m.job, m.leases, m.refused, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &tables{st: st})
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	st.Observe(store.Observer{GroupCommit: func(n int) { m.group.Observe(float64(n)) }, HelloCommit: func(d time.Duration) { m.commit.Observe(d.Seconds()) }})
	return m
}

// event counts what happened in the core.
func (m *metrics) event(e provision.Event) {
	switch e.Kind {
	case provision.EventHello, provision.EventPartial, provision.EventForeign, provision.EventRefused, provision.EventError:
		m.hellos.WithLabelValues(string(e.Kind)).Inc()
	case provision.EventProvisioned, provision.EventDelayed, provision.EventMaintained:
		m.job.WithLabelValues(kindOf(e.Hello), string(e.Kind)).Observe(e.Took.Seconds())
	case provision.EventLeaseLost:
		m.leases.Inc()
		m.job.WithLabelValues(kindOf(e.Hello), string(e.Kind)).Observe(e.Took.Seconds())
	}
}

func kindOf(helloVersion int) string {
	switch helloVersion {
	case 2:
		return "psk"
	case 3:
		return "pki"
	}
	return "other"
}

// tables counts rows when it is asked, not more often than every few seconds.
type tables struct {
	st *store.Store

	mu     sync.Mutex
	at     time.Time
	counts store.Counts
	err    error
}

const (
	countEvery = 5 * time.Second
	countTime  = 5 * time.Second
)

var (
	descQueue   = prometheus.NewDesc("amtmedic_queue_entries", "Clients in the queue.", nil, nil)
	descDelayed = prometheus.NewDesc("amtmedic_delayed_entries", "Clients that wait for something.", nil, nil)
	descLog     = prometheus.NewDesc("amtmedic_log_rows", "Rows of the log.", nil, nil)
	descClients = prometheus.NewDesc("amtmedic_clients", "Clients by state.", []string{"state"}, nil)
	descPIDs    = prometheus.NewDesc("amtmedic_pids_unused", "PID/PPS pairs that no client has used.", nil, nil)
)

// Describe names the metrics.
func (t *tables) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descQueue, descDelayed, descLog, descClients, descPIDs} {
		out <- d
	}
}

// Collect gives the numbers; without a database there are none, and the others are told all the same.
func (t *tables) Collect(out chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) >= countEvery {
		ctx, cancel := context.WithTimeout(context.Background(), countTime)
		defer cancel()
		t.counts, t.err = t.st.Counts(ctx)
		t.at = time.Now()
	}
	if t.err != nil {
		out <- prometheus.NewInvalidMetric(descQueue, t.err)
		return
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	gauge(descQueue, t.counts.Queued)
	gauge(descDelayed, t.counts.Delayed)
	gauge(descLog, t.counts.LogRows)
	gauge(descPIDs, t.counts.PIDsUnused)
	for state, n := range t.counts.Clients {
		gauge(descClients, n, string(state))
	}
}
