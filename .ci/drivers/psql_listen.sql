-- Notifications.
LISTEN news;
NOTIFY news, 'hello';
UNLISTEN news;
