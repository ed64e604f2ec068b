// Runs MeshCentral's own provisioning server, WS-Man stack and certificate code without the rest of
// MeshCentral: around it stands a parent that holds one device group and keeps nothing. It activates
// the first client that says hello, logs in to it with the new password over both ports, and ends.
//
//   node bench.js MODULE-FOLDER PEM-FOLDER TRUSTED-NAME PORT
'use strict';
const path = require('path'), fs = require('fs'), os = require('os'), crypto = require('crypto'), tls = require('tls');
const [, , moduleDir, pemDir, fqdn, port] = process.argv;
const part = name => require(path.join(moduleDir, name));
const password = 'P@ssw0rd2', group = 'mesh//lab';

// Old firmware speaks no TLS 1.2, and Node sends no client certificate below it at its usual level.
if (process.env.SECLEVEL0) {
    const connect = tls.connect;
    tls.connect = (p, h, o, f) => { o.ciphers += ':@SECLEVEL=0'; return connect.call(tls, p, h, o, f); };
}
require('dns').reverse = (address, f) => f(null, []); // no name is looked up outside this machine

const files = { certfiles: [path.join(pemDir, 'leaf.pem'), path.join(pemDir, 'root.pem')], keyfile: path.join(pemDir, 'leaf.key') };
const parent = {
    path, fs, crypto, args: {}, datapath: fs.mkdtempSync(path.join(os.tmpdir(), 'meshcentral-')), debug: (...a) => console.log(a.join(' ')),
    config: { domains: { '': { id: '', amtmanager: {}, amtacmactivation: { strictcommonname: true, certs: { lab: files } } } } },
    DispatchEvent: () => { }, AddEventDispatch: () => { },
};
parent.common = part('common.js');
parent.common.joinPath = (a, b) => path.isAbsolute(b) ? b : path.join(a, b);
const certs = parent.certificateOperations = part('certoperations.js').CertificateOperations(parent);
const root = certs.GenerateRootCertificate(true, 'Bench root', null, null, true);
const rootPair = { cert: certs.pki.certificateToPem(root.cert), key: certs.pki.privateKeyToPem(root.key) };
parent.certificates = { root: rootPair };
parent.webserver = {
    certificates: { root: rootPair }, CreateMeshDispatchTargets: () => [], CloneSafeNode: x => x,
    meshes: { [group]: { _id: group, mtype: 1, name: 'lab', domain: '', amt: { type: 3, password } } },
};
let host = null;
parent.db = { Get: (id, f) => f(null, []), Set: node => { host = node.host; console.log('STORED', JSON.stringify(node.intelamt)); } };
certs.loadIntelAmtAcmCerts(parent.config.domains[''].amtacmactivation);
for (const e of parent.config.domains[''].amtacmactivation.acmCertErrors) console.log('ERROR', e);

// MeshCentral hands its chain to TLS root first (Ylianst/MeshCentral#4901), and Node refuses the key then.
const chain = certs.getAcmCertChain;
certs.getAcmCertChain = function (...a) {
    const r = chain.apply(certs, a), first = r.certs && new crypto.X509Certificate(r.certs[0]);
    if (first && first.subject === first.issuer) r.certs = r.certs.slice().reverse();
    return r;
};
parent.amtManager = part('amtmanager.js').CreateAmtManager(parent);
parent.amtManager.startAmtManagement = () => { };

parent.SetConnectivityState = () => {
    let left = 2;
    for (const [at, secure] of [[16993, 1], [16992, 0]]) {
        const comm = part('amt/amt-wsman-comm.js')(host, at, 'admin', password, secure, null);
        comm.xtlsFingerprint = 0;
        part('amt/amt.js')(part('amt/amt-wsman.js')(comm)).BatchEnum(null, ['*AMT_GeneralSettings', '*IPS_HostBasedSetupService', 'CIM_SoftwareIdentity', 'AMT_TLSSettingData', 'AMT_PublicKeyCertificate'], (stack, name, r, status) => {
            const mode = status == 200 ? r['IPS_HostBasedSetupService'].response.CurrentControlMode : '-';
            console.log('AFTERWARDS port ' + at + ' status ' + status + ' mode ' + mode + ' qop ' + (comm.challengeParams ? comm.challengeParams.qop : '-'));
            if (--left == 0) { fs.rmSync(parent.datapath, { recursive: true }); process.exit(0); }
        });
    }
};
const server = part('amtprovisioningserver.js').CreateAmtProvisioningServer(parent, { devicegroup: group, newmebxpassword: 'P@ssw0rd1', trustedfqdn: fqdn, ip: '127.0.0.1', port: +port });
server.crypto = crypto;
