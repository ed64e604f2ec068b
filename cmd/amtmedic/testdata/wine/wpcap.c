/* A stand-in for the wpcap.dll of Npcap: one adapter, whose packets come from a pcap file. For tests
   only, never part of the product. What it does is told by variables of the environment:
     WPCAP_FILE   the pcap file (little-endian, microseconds), served once
     WPCAP_LOG    where it writes at the end how it was used
     WPCAP_LINK   link type, 1 when not set
     WPCAP_DROP   packets that it says it lost
     WPCAP_DENY   activating is denied
     WPCAP_REFUSE programs are refused
     WPCAP_GONE   behind the last packet the adapter is removed
   Structures and numbers follow pcap/pcap.h and net/bpf.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define API __declspec(dllexport)
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

struct insn { u16 code; u8 jt, jf; u32 k; };
struct program { u32 len; struct insn *insns; };
struct header { long sec, usec; u32 caplen, len; };
struct stat { u32 recv, drop, ifdrop, capt, sent, netdrop; };
struct device { struct device *next; char *name, *description; void *addresses; u32 flags; };
struct pcap {
  char name[256], err[256];
  int snaplen, promisc, wait, immediate, buffer, set, read, stats, stopped;
  struct program filter;
  struct header head;
  u8 data[65536];
  FILE *file;
  HANDLE broken;
};

static int is(const char *name) { return getenv(name) != NULL; }
static int number(const char *name, int otherwise) { return is(name) ? atoi(getenv(name)) : otherwise; }

/* run is a machine for classic BPF, written after the BSD Packet Filter paper. */
static u32 run(const struct insn *p, u32 n, const u8 *b, u32 len) {
  u32 A = 0, X = 0, M[16] = {0}, pc, k, size, v;
  for (pc = 0; pc < n; pc++) {
    const struct insn *i = p + pc;
    switch (i->code & 7) {
    case 0: case 1:
      switch (i->code & 0xe0) {
      case 0x00: v = i->k; break;
      case 0x60: v = M[i->k & 15]; break;
      case 0x80: v = len; break;
      case 0xa0: if (i->k >= len) return 0; v = (b[i->k] & 15) << 2; break;
      default:
        k = (i->code & 0xe0) == 0x40 ? X + i->k : i->k;
        size = (i->code & 0x18) == 0 ? 4 : (i->code & 0x18) == 8 ? 2 : 1;
        if (k > len || len - k < size) return 0;
        for (v = 0; size > 0; size--) v = v << 8 | b[k++];
      }
      if (i->code & 1) X = v; else A = v;
      break;
    case 2: M[i->k & 15] = A; break;
    case 3: M[i->k & 15] = X; break;
    case 4:
      v = i->code & 8 ? X : i->k;
      switch (i->code & 0xf0) {
      case 0x00: A += v; break;
      case 0x10: A -= v; break;
      case 0x20: A *= v; break;
      case 0x30: if (!v) return 0; A /= v; break;
      case 0x40: A |= v; break;
      case 0x50: A &= v; break;
      case 0x60: A <<= v; break;
      case 0x70: A >>= v; break;
      default: A = -A;
      }
      break;
    case 5:
      v = i->code & 8 ? X : i->k;
      switch (i->code & 0xf0) {
      case 0x00: pc += i->k; break;
      case 0x10: pc += A == v ? i->jt : i->jf; break;
      case 0x20: pc += A > v ? i->jt : i->jf; break;
      case 0x30: pc += A >= v ? i->jt : i->jf; break;
      default: pc += A & v ? i->jt : i->jf;
      }
      break;
    case 6: return i->code & 0x10 ? A : i->k;
    default: if (i->code & 0x80) A = X; else X = A;
    }
  }
  return 0;
}

API int pcap_findalldevs(struct device **all, char *err) {
  static struct device one = {NULL, "\\Device\\NPF_{7D5F0A50-5E6B-4B6E-9E55-8C5A4D5F0A51}", "Stand-in Adapter", NULL, 0};
  err[0] = 0;
  *all = &one;
  return 0;
}
API void pcap_freealldevs(struct device *all) {}

API struct pcap *pcap_create(const char *name, char *err) {
  struct pcap *p = calloc(1, sizeof *p);
  err[0] = 0;
  snprintf(p->name, sizeof p->name, "%s", name);
  p->broken = CreateEventA(NULL, TRUE, FALSE, NULL);
  return p;
}
API int pcap_set_snaplen(struct pcap *p, int v) { p->snaplen = v; return 0; }
API int pcap_set_promisc(struct pcap *p, int v) { p->promisc = v; return 0; }
API int pcap_set_timeout(struct pcap *p, int v) { p->wait = v; return 0; }
API int pcap_set_immediate_mode(struct pcap *p, int v) { p->immediate = v; return 0; }
API int pcap_set_buffer_size(struct pcap *p, int v) { p->buffer = v; return 0; }

API int pcap_activate(struct pcap *p) {
  if (is("WPCAP_DENY")) {
    strcpy(p->err, "Access is denied.");
    return -8;
  }
  p->file = is("WPCAP_FILE") ? fopen(getenv("WPCAP_FILE"), "rb") : NULL;
  if (!p->file || fseek(p->file, 24, SEEK_SET)) {
    strcpy(p->err, "no file of packets");
    return -1;
  }
  return 3; /* a warning: the capture goes on */
}
API int pcap_datalink(struct pcap *p) { return number("WPCAP_LINK", 1); }
API char *pcap_geterr(struct pcap *p) { return p->err; }

API int pcap_setfilter(struct pcap *p, const struct program *f) {
  if (is("WPCAP_REFUSE")) {
    strcpy(p->err, "the program is too long");
    return -1;
  }
  p->filter.len = f->len;
  p->filter.insns = malloc(f->len * sizeof *f->insns);
  memcpy(p->filter.insns, f->insns, f->len * sizeof *f->insns);
  return 0;
}

API int pcap_next_ex(struct pcap *p, struct header **head, const u8 **data) {
  while (fread(&p->head, 16, 1, p->file) == 1 && p->head.caplen <= sizeof p->data &&
         fread(p->data, 1, p->head.caplen, p->file) == p->head.caplen) {
    p->read++;
    if (p->filter.insns && !run(p->filter.insns, p->filter.len, p->data, p->head.caplen)) continue;
    p->set++;
    *head = &p->head;
    *data = p->data;
    return 1;
  }
  if (is("WPCAP_GONE")) {
    strcpy(p->err, "The interface disappeared (error code 1617)");
    return -1;
  }
  if (WaitForSingleObject(p->broken, p->wait) != WAIT_OBJECT_0) return 0;
  ResetEvent(p->broken);
  p->stopped++;
  return -2;
}

API void pcap_breakloop(struct pcap *p) { SetEvent(p->broken); }

#ifndef WITHOUT_STATS
API int pcap_stats(struct pcap *p, struct stat *s) {
  p->stats++;
  s->recv = p->read;
  s->drop = number("WPCAP_DROP", 0);
  s->ifdrop = s->capt = s->sent = s->netdrop = 0;
  return 0;
}
#endif

API void pcap_close(struct pcap *p) {
  FILE *log = is("WPCAP_LOG") ? fopen(getenv("WPCAP_LOG"), "wb") : NULL;
  if (log) {
    fprintf(log, "device=%s snaplen=%d promisc=%d wait=%d immediate=%d buffer=%d read=%d given=%d program=%s stats=%s stopped=%d\n", p->name,
            p->snaplen, p->promisc, p->wait, p->immediate, p->buffer, p->read, p->set, p->filter.len ? "yes" : "no",
            p->stats ? "yes" : "no", p->stopped);
    fclose(log);
  }
  if (p->file) fclose(p->file);
  CloseHandle(p->broken);
  free(p->filter.insns);
  free(p);
}
