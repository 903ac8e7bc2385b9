internal import FXServe
internal import FXSystem

extension SettingKey {
    /// The keys of `fxmount serve`; the numbers are explained in `ServeSettings`.
    static let serving: [SettingKey] = [
        SettingKey(
            path: "serve.listen", kind: .text, standard: .text("127.0.0.1:51983"), variable: "FXMOUNT_SERVE_LISTEN"),
        SettingKey(path: "serve.tls_cert", kind: .absolutePath, standard: nil, variable: "FXMOUNT_SERVE_TLS_CERT"),
        SettingKey(path: "serve.tls_key", kind: .absolutePath, standard: nil, variable: "FXMOUNT_SERVE_TLS_KEY"),
        SettingKey(
            path: "serve.token_file", kind: .secret(.file), standard: nil, variable: "FXMOUNT_SERVE_TOKEN_FILE"),
        // No variables: origins hold colons, which separate the elements of a list there.
        SettingKey(path: "serve.origins", kind: .list, standard: nil, variable: nil),
        SettingKey(path: "serve.hosts", kind: .list, standard: nil, variable: nil),
        SettingKey(
            path: "serve.payload_limit", kind: .size, standard: .size(.mebibytes(50)),
            variable: "FXMOUNT_SERVE_PAYLOAD_LIMIT"),
        SettingKey(
            path: "serve.codes", kind: .choice(Vintage.allCases.map(\.rawValue)),
            standard: .text(Vintage.seed.rawValue),
            variable: "FXMOUNT_SERVE_CODES"),
        SettingKey(
            path: "serve.requests_per_second", kind: .integer(1...1_000_000), standard: .integer(5000),
            variable: "FXMOUNT_SERVE_REQUESTS_PER_SECOND"),
        SettingKey(
            path: "serve.connections", kind: .integer(1...10_000), standard: .integer(256),
            variable: "FXMOUNT_SERVE_CONNECTIONS"),
        SettingKey(
            path: "serve.idle_timeout", kind: .duration, standard: .duration(.seconds(30)),
            variable: "FXMOUNT_SERVE_IDLE_TIMEOUT"),
        SettingKey(
            path: "serve.prompt_timeout", kind: .duration, standard: .duration(.seconds(60)),
            variable: "FXMOUNT_SERVE_PROMPT_TIMEOUT"),
    ]
}
