/* A stand-in for bcryptprimitives.dll, which wine 8 lacks: Go asks it for random bytes. For tests
   only, never part of the product. */
typedef unsigned char BYTE;
typedef unsigned long long SIZE_T;

__declspec(dllimport) BYTE __stdcall SystemFunction036(void *buffer, unsigned long length);

__declspec(dllexport) int __stdcall ProcessPrng(BYTE *buffer, SIZE_T length) {
  while (length > 0) {
    unsigned long part = length > 0x10000 ? 0x10000 : (unsigned long)length;
    if (!SystemFunction036(buffer, part)) return 0;
    buffer += part;
    length -= part;
  }
  return 1;
}
