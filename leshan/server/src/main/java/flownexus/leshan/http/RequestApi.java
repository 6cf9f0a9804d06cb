package flownexus.leshan.http;

import flownexus.leshan.requests.RequestService;

/** {@code /api/requests/ID}: what became of a request that was made with {@code Prefer: respond-async}. */
final class RequestApi {

    private final RequestService requests;

    RequestApi(RequestService requests) {
        this.requests = requests;
    }

    void handle(Call call) {
        if (call.path.size() != 1) {
            call.text(404, "Not found");
            return;
        }
        String id = call.path.get(0);
        switch (call.method()) {
        case "GET" -> answer(call, id, requests.find(id), 200);
        case "DELETE" -> answer(call, id, requests.cancel(id), 202);
        default -> call.text(405, "Method not allowed");
        }
    }

    private static void answer(Call call, String id, RequestService.Found found, int statusOfPending) {
        if (found == null) {
            call.text(404, "No request with id '" + id + "'");
        } else {
            call.json(found.ended() ? 200 : statusOfPending, found.record());
        }
    }
}
