public import FXSystem

/// The description of the API (OpenAPI 3.1), made from the tables the server itself works by.
public enum OpenAPIDocument {
    public static var json: JSONValue {
        [
            "openapi": "3.1.0",
            "info": [
                "title": "fxmount File Exchange API", "version": "3",
                "summary": "Files of this machine by entity and type, under the consent of their user.",
                "description":
                    "Directions are seen from the application: download creates a local file, upload returns one. What is marked x-fxmount-extension is not part of the published API.",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "http://127.0.0.1:51983"]],
            "paths": .object(paths),
            "components": ["schemas": .object(OpenAPISchemas.all), "securitySchemes": .object(securitySchemes)],
        ]
    }

    private static var paths: [JSONValue.Member] {
        var paths: [JSONValue.Member] = []
        for operation in Operation.allCases {
            paths.append(.init(Operation.base + operation.rawValue, ["post": describe(operation)]))
        }
        paths.append(.init("/info", ["get": answer("info", "The version that is spoken.", schema: "Info", [], false)]))
        for call in ServiceCall.allCases { paths.append(.init(call.rawValue, .object([describe(call)]))) }
        return paths
    }

    private static var securitySchemes: [JSONValue.Member] {
        [
            .init(
                "origin",
                [
                    "type": "apiKey", "in": "header", "name": "Origin",
                    "description": "Sent by browsers; its host is the application.",
                ]),
            .init(
                "token",
                ["type": "http", "scheme": "bearer", "description": "Where others than this machine can connect."]),
            .init(
                "ownerKey",
                [
                    "type": "http", "scheme": "bearer",
                    "description": "The owner's key: serve.key in the state directory.",
                ]),
        ]
    }

    private static func describe(_ operation: Operation) -> JSONValue {
        let conditions: [Condition] =
            [
                .parameter, .originRefused, .notPermitted, .payloadTooLarge, .unsupportedMediaType, .misdirected,
                .tooManyRequests, .failed, .stopping,
            ] + (operation == .upload ? [] : [.storageFull])
        var parameters: [JSONValue] = []
        if [.listTypes, .listTypeContent, .listContent].contains(operation) {
            parameters = [
                query("start", ["type": "integer", "minimum": 0, "maximum": .integer(Int64(Int32.max))]),
                query("size", ["type": "integer", "minimum": 1, "maximum": .integer(Int64(Int32.max))]),
                query("sort", ["type": "string", "enum": ["ASC", "DESC"]]),
            ]
        }
        let media = operation == .download ? "multipart/form-data" : "application/json"
        var members: [JSONValue.Member] = [
            .init("operationId", .string("\(operation)")), .init("security", [["origin": []], ["ownerKey": []]]),
        ]
        if operation == .download {
            parameters = [
                [
                    "name": "X-CSRF-Token", "in": "header", "required": true,
                    "schema": ["type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9-]+$"],
                ]
            ]
        }
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        let schema: JSONValue = .object([.init("schema", OpenAPISchemas.request(operation))])
        members.append(
            .init("requestBody", ["required": true, "content": .object([.init(media, schema)])]))
        members.append(.init("responses", .object(responses(success(operation), conditions))))
        return .object(members)
    }

    private static func query(_ name: String, _ schema: JSONValue) -> JSONValue {
        ["name": .string(name), "in": "query", "required": false, "schema": schema]
    }

    private static func success(_ operation: Operation) -> JSONValue {
        guard operation == .upload else {
            return content("application/json", ["schema": OpenAPISchemas.envelope(OpenAPISchemas.data(of: operation))])
        }
        return content("application/octet-stream", .object([]))
    }

    private static func describe(_ call: ServiceCall) -> JSONValue.Member {
        let isPost = call.method == "POST"
        var conditions: [Condition] = [.originRefused, .misdirected, .tooManyRequests, .failed, .stopping]
        if isPost { conditions += [.parameter, .payloadTooLarge, .unsupportedMediaType] }
        if call == .transfers { conditions.append(.consentMissing) }
        var description = answer(
            "\(call)", OpenAPISchemas.summary(of: call), schema: OpenAPISchemas.name(of: call), conditions, true)
        if case .object(var members) = description {
            if call != .consent { members.append(.init("x-fxmount-extension", true)) }
            if isPost {
                let schema = OpenAPISchemas.request(call)
                members.append(
                    .init("requestBody", ["required": true, "content": ["application/json": ["schema": schema]]]))
            }
            description = .object(members)
        }
        return .init(call.method.lowercased(), description)
    }

    private static func answer(
        _ id: String, _ summary: String, schema: String, _ conditions: [Condition], _ isSecured: Bool
    ) -> JSONValue {
        let data = content("application/json", ["schema": OpenAPISchemas.envelope(OpenAPISchemas.reference(schema))])
        var members: [JSONValue.Member] = [.init("operationId", .string(id)), .init("summary", .string(summary))]
        if isSecured { members.append(.init("security", [["origin": []], ["ownerKey": []]])) }
        members.append(.init("responses", .object(responses(data, conditions + [.misdirected, .stopping]))))
        return .object(members)
    }

    private static func content(_ media: String, _ value: JSONValue) -> JSONValue {
        ["description": "Done.", "content": .object([.init(media, value)])]
    }

    /// Everything but 200 has the shape of `Failure`.
    private static func responses(_ success: JSONValue, _ conditions: [Condition]) -> [JSONValue.Member] {
        let failure: JSONValue = ["application/json": ["schema": OpenAPISchemas.reference("Failure")]]
        var responses: [JSONValue.Member] = [.init("200", success)]
        // Every function answers 405 to other methods.
        for status in Set((conditions + [.methodRefused]).map(\.status)).sorted() {
            responses.append(
                .init(String(status), ["description": .string(phrase(status)), "content": failure]))
        }
        return responses
    }

    private static func phrase(_ status: Int) -> String {
        let conditions = Condition.allCases.filter { $0.status == status }.map(\.rawValue)
        return "Refused: " + conditions.joined(separator: ", ") + "."
    }
}
