package engine

// Numbers of PT_STATUS that the engine gives (provisioning-protocol 3.4, MeshCentral amt.js, amttool).
const (
	ptInternal       = 1
	ptNotReady       = 2
	ptInvalidName    = 12
	ptNotPermitted   = 16
	ptMaxLimit       = 23
	ptInvalidIP      = 27
	ptInvalidDomain  = 28
	ptInvalidStage   = 32
	ptInvalidTime    = 34
	ptInvalidIndex   = 35
	ptInvalidParam   = 36
	ptFlashLimit     = 38
	ptInvalidPID     = 42
	ptInvalidPPS     = 43
	ptUnsupportedOEM = 2049
	ptInvalidCommand = 2051
	ptInvalidSpecial = 2052
	ptInvalidHandle  = 2053
	ptWeakPassword   = 2054
	ptDataMissing    = 2057
	ptDuplicate      = 2058
	ptMissingKeys    = 2060
	ptGeneratingKeys = 2061
	ptInvalidKey     = 2062
	ptInvalidCert    = 2063
	ptKeyMismatch    = 2064
	ptUnsupported    = 2066
	ptNotFound       = 2068
)
