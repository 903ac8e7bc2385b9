// What Swift cannot call: libcurl's variadic setters and getters, one typed function each.
#pragma once
#include <curl/curl.h>
