import Glibc
import NIOSSL

/// A self-signed certificate for 127.0.0.1 and localhost, as OpenTera's own script makes one.
struct Certificate: Sendable {
    /// What a client trusts: `ca_file`.
    let path: String
    private let keyPath: String

    /// Makes one in an existing directory, with openssl(1).
    init(in directory: String) throws {
        path = directory + "/certificate.pem"
        keyPath = directory + "/key.pem"
        let arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", keyPath,
            "-out", path,
        ]
        let argv = arguments.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var process = pid_t()
        var status: Int32 = -1
        guard posix_spawnp(&process, "openssl", &actions, nil, argv, environ) == 0,
            waitpid(process, &status, 0) == process, status == 0
        else { throw ServiceFailure("openssl made no certificate") }
    }

    func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: keyPath, format: .pem)))
        // OpenTera's NGINX offers no HTTP/2.
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }
}
